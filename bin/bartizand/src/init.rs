//! `bartizand init`: makes a data folder.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use bartizan_audit::{Log, LogOptions, Origin};
use bartizan_model::SessionId;
use bartizan_store::Store;

use crate::config::{default_node, jump_host};
use crate::failure::Failure;
use crate::folder::Folder;
use crate::{keys, serve};

/// Makes a data folder in `path`, or leaves nothing behind.
///
/// # Errors
/// When there is something in the folder already, or it cannot be written.
pub(crate) fn run(path: &Path, listen: &[SocketAddr]) -> Result<(), Failure> {
    let existed = path.exists();
    let folder = Folder::create(path)?;
    let node = default_node();
    let origin = match fill(&folder, &node, listen) {
        Ok(origin) => origin,
        Err(failure) => {
            // All that is in there was made here: the folder was empty.
            discard(&folder, existed);
            return Err(failure);
        }
    };
    let text = next_steps(path, listen, &origin);
    std::io::stdout().write_all(text.as_bytes()).map_err(|e| Failure::new(format!("cannot print: {e}")))
}

fn fill(folder: &Folder, node: &str, listen: &[SocketAddr]) -> Result<Origin, Failure> {
    let _lock = folder.lock()?;
    // Unique for all time, also when two nodes have one name.
    let origin: Origin = format!("bartizan/{node}/{}", SessionId::new()).parse().map_err(Failure::new)?;
    keys::create(&folder.keys(), node, &origin)?;
    Log::create(&folder.log(), &origin).map_err(Failure::new)?;
    // Signs that the log is empty, so that it verifies from its first moment on.
    let signer = Some(keys::log_signer(&folder.keys(), &origin)?);
    let opened =
        Log::open(&folder.log(), LogOptions { signer, ..LogOptions::default() }).map_err(Failure::new)?;
    opened.log.close().map_err(Failure::new)?;
    serve::runtime()?.block_on(async {
        let store = Store::open(folder.path()).await.map_err(Failure::new)?;
        store.close().await;
        Ok::<_, Failure>(())
    })?;
    // Last: a folder with a configuration is a whole one. Half of it, or none, would mean other addresses than asked for.
    keys::write_whole(&folder.config_file(), 0o644, config_text(node, listen).as_bytes())?;
    let unsynced = |e| Failure::new(format!("cannot sync the data folder {}: {e}", folder.path().display()));
    File::open(folder.path()).and_then(|dir| dir.sync_all()).map_err(unsynced)?;
    Ok(origin)
}

fn discard(folder: &Folder, existed: bool) {
    let done = if existed {
        fs::read_dir(folder.path()).and_then(|entries| {
            entries.into_iter().try_for_each(|entry| {
                let path = entry?.path();
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
            })
        })
    } else {
        fs::remove_dir_all(folder.path())
    };
    if let Err(error) = done {
        let shown = folder.path().display();
        // Told beside the failure itself, which is what the operator must know.
        let _ = writeln!(std::io::stderr(), "note: {shown} could not be cleared away: {error}");
    }
}

fn config_text(node: &str, listen: &[SocketAddr]) -> String {
    let listen: Vec<_> = listen.iter().map(|address| format!("\"{address}\"")).collect();
    format!(
        "# Bartizan's configuration. `bartizand check --explain` describes every key;\n\
         # `bartizand check` reads this file as the server does.\n\
         node = \"{node}\"\n\
         listen = [{}]\n",
        listen.join(", ")
    )
}

fn next_steps(path: &Path, listen: &[SocketAddr], origin: &Origin) -> String {
    let data = path.display();
    let jump = jump_host(listen);
    format!(
        "Made {data}: configuration, keys, database, audit log (origin {origin}).\n\
         Back up {data}/keys: clients and targets will trust them.\n\
         Give auditors {data}/keys/log.vkey: with it they verify the log (bartizan log verify --key).\n\
         \n\
         Next:\n\
         \x20 bartizand serve --data {data}\n\
         \x20 bartizan -D {data} person add alice --key ~/.ssh/id_ed25519.pub\n\
         \x20 bartizan -D {data} ca show user >> /etc/ssh/bartizan_user_ca.pub   # on the target: TrustedUserCAKeys\n\
         \x20 bartizan -D {data} target add web-1 10.0.0.5:22 --first-use        # or --host-key FILE\n\
         \x20 bartizan -D {data} grant add --person alice --target web-1 --login root --allow shell,exec\n\
         \x20 bartizan -D {data} ssh-config --person alice                       # for alice's ~/.ssh\n\
         \x20 ssh -J alice@{jump} root@web-1\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_configuration_means_what_was_asked_for() {
        let listen = ["127.0.0.1:2222".parse().unwrap(), "[::1]:60022".parse().unwrap()];
        let text = config_text("node-1", &listen);
        let config = crate::config::Config::parse(Path::new("c"), &text).unwrap();
        assert_eq!((config.node.0.as_str(), config.listen), ("node-1", listen.to_vec()));
    }

    #[test]
    fn a_configuration_is_there_whole_or_not_at_all() {
        let temp = tempfile::tempdir().unwrap();
        let listen = ["127.0.0.1:2222".parse().unwrap()];
        let whole = Folder::create(&temp.path().join("whole")).unwrap();
        fill(&whole, "node-1", &listen).unwrap();
        assert_eq!(fs::read_to_string(whole.config_file()).unwrap(), config_text("node-1", &listen));
        assert!(!whole.path().join("bartizan.toml.tmp").exists());
        let cut = Folder::create(&temp.path().join("cut")).unwrap();
        // Where it is written first nothing can be written.
        fs::create_dir(cut.path().join("bartizan.toml.tmp")).unwrap();
        assert!(fill(&cut, "node-1", &listen).is_err());
        assert!(!cut.config_file().exists());
    }

    #[test]
    fn the_next_steps_read_well() {
        let origin = "bartizan/n/01990c2e-7d1a-7c3e-9f52-0242ac120002".parse().unwrap();
        insta::assert_snapshot!(next_steps(
            Path::new("./data"),
            &["127.0.0.1:2222".parse().unwrap()],
            &origin
        ));
    }
}
