//! Next keys of Bartizan's own CAs, activated at their time.

use std::sync::Arc;
use std::time::Duration;

use bartizan_api::{CaKeeper as _, OwnCas};
use bartizan_audit::Log;
use bartizan_gateway::{CaKey, Keys};
use bartizan_model::event::Body;
use bartizan_model::{NodeId, Timestamp};

use super::CaFiles;
use crate::adapters::fingerprint;
use crate::folder::Folder;
use crate::keys;
use crate::note::note;

/// How often the times of next CA keys are looked at.
const CA_SCHEDULE: Duration = Duration::from_secs(5);

/// Bartizan's own CAs by their names.
pub(crate) type OwnCaFiles = [(&'static str, CaFiles); 3];

/// Bartizan's own CAs: user, host and people.
pub(crate) fn own_cas(folder: &Folder, keys: &Keys, people: &CaKey) -> OwnCaFiles {
    let ca = |name, comment, key: &CaKey| CaFiles::new(&folder.keys(), name, comment, key.clone());
    [
        ("user", ca(keys::USER_CA, "bartizan user CA", &keys.user_ca)),
        ("host", ca(keys::HOST_CA, "bartizan host CA", &keys.host_ca)),
        ("people", ca(keys::PEOPLE_CA, "bartizan people CA", people)),
    ]
}

/// The same for the API.
pub(crate) fn for_api([(_, user), (_, host), (_, people)]: &OwnCaFiles) -> OwnCas {
    let (user, host, people) = (user.clone(), host.clone(), people.clone());
    OwnCas { user: Arc::new(user), host: Arc::new(host), people: Arc::new(people) }
}

/// That the folder got a people CA, since it is of a version that had none.
pub(crate) fn people_ca_created(ca: &CaKey) -> Body {
    Body::CaChange {
        ca: "people".into(),
        action: "create".into(),
        key: fingerprint(ca.current().public_key()),
        at: None,
        reason: None,
        by: "start".into(),
    }
}

/// Activates next keys of CAs whose time has come, each with an event first.
pub(crate) async fn activate_in_time(cas: OwnCaFiles, log: Log, node: NodeId) {
    loop {
        for (name, files) in &cas {
            if let Err(error) = activate_if_due(name, files, &log, &node).await {
                tracing::error!(ca = name, error, "a next key could not be activated at its time");
            }
        }
        tokio::time::sleep(CA_SCHEDULE).await;
    }
}

async fn activate_if_due(name: &str, files: &CaFiles, log: &Log, node: &NodeId) -> Result<(), String> {
    if files.due()?.is_none_or(|at| at > Timestamp::now()) {
        return Ok(());
    }
    let step = files.activate()?;
    let body = Body::CaChange {
        ca: name.to_owned(),
        action: "activate".into(),
        key: step.key,
        at: None,
        reason: None,
        by: "schedule".into(),
    };
    note(log, node, body).await.map_err(|e| e.to_string())?;
    tokio::task::spawn_blocking(step.effect).await.map_err(|e| e.to_string())??;
    tracing::warn!(ca = name, key = %step.key, "a next key signs from now on");
    Ok(())
}
