//! `bartizan ca`.

use bartizan_model::TrustedCa;
use bartizan_model::api::{NewCas, OwnCa as Shown};

use super::key::short_type;
use super::{Context, key_file};
use crate::args::{Ca, OwnCa};
use crate::client::segment;
use crate::failure::Failure;
use crate::table::{Table, normal};

pub(crate) async fn run(context: &Context, command: Ca) -> Result<(), Failure> {
    let (client, out) = (&context.client, context.out);
    match command {
        Ca::Show { which } => {
            let name = match which {
                OwnCa::User => "user",
                OwnCa::Host => "host",
            };
            let ca: Shown = client.get(&format!("/v1/own-cas/{name}")).await?;
            // Only the line, so that it can be appended to a file.
            out.one(&ca, || format!("{}\n", ca.key))
        }
        Ca::Trust { file } => {
            let added: Vec<TrustedCa> = client.post("/v1/cas", &NewCas { keys: key_file(&file)? }).await?;
            out.one(&added, || added.iter().map(|ca| format!("trusted {}\n", ca.fingerprint)).collect())
        }
        Ca::Untrust { fingerprint } => {
            let removed: TrustedCa = client.delete(&format!("/v1/cas/{}", segment(fingerprint))).await?;
            out.one(&removed, || format!("{} is not trusted any more\n", removed.fingerprint))
        }
        Ca::List => {
            let cas: Vec<TrustedCa> = client.get("/v1/cas").await?;
            out.listing(&cas, || cas_table(&cas))
        }
    }
}

fn cas_table(cas: &[TrustedCa]) -> Table {
    let mut table = Table::new("no CA is trusted besides Bartizan's own: `bartizan ca trust FILE`")
        .flexible("TYPE")
        .column("FINGERPRINT")
        .flexible("COMMENT");
    for ca in cas {
        table.row([
            normal(short_type(ca.key.split(' ').next().unwrap_or_default())),
            normal(ca.fingerprint),
            normal(&ca.comment),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::keys;
    use super::*;

    #[test]
    fn listing() {
        let cas: Vec<_> = (keys().into_iter())
            .map(|k| TrustedCa { key: k.key, fingerprint: k.fingerprint, comment: k.comment, added: k.added })
            .collect();
        insta::assert_snapshot!(cas_table(&cas).render(Some(80), false));
    }
}
