//! Retention: what it removes is on record, whatever happens in the middle.

use std::time::Duration;

use serde_json::Value;

use crate::scene::{Scene, Way, list};

/// Sessions whose recordings take half a MiB each.
const SESSIONS: usize = 6;

#[test]
fn the_oldest_recordings_go_by_size_and_the_log_says_so() {
    let mut scene = Scene::new(Way::UserName);
    let mut ids = Vec::new();
    for _ in 0..SESSIONS {
        scene.exec("head -c 600000 /dev/urandom").ok();
        ids.push(scene.ended_session()["id"].as_str().unwrap().to_owned());
    }
    scene.bartizan_mut().stop();
    let data = scene.bartizan().data();
    let config = data.join("bartizan.toml");
    let written = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{written}\n[recordings]\nkeep_size = \"1MiB\"\n")).unwrap();
    // Killed wherever it is, again and again: nothing is half removed for good, and the log never lies.
    for millis in [150, 300, 450, 700] {
        scene.bartizan_mut().start_and_kill(Duration::from_millis(millis));
        scene.bartizan().cli(&["log", "verify"]).ok();
    }
    scene.bartizan_mut().start_again();
    let folder = |id: &str| data.join("recordings").join(id);
    bartizan_testkit::eventually("retention", || {
        (ids.iter().filter(|id| folder(id).exists()).count() <= 1).then_some(())
    });
    let b = scene.bartizan();
    let report = b.say(&["log", "verify"]);
    assert!(report.contains(" recordings removed by retention ") && report.contains("verifies"), "{report}");
    let removals = list(&b.json(&["log", "search", "--type", "recording.*", "--oldest-first"]));
    let position = |event: &Value| event["index"].as_u64().unwrap();
    // What was not signed when the server was killed is withdrawn by the next start, and decided anew.
    let anomalies = list(&b.json(&["log", "search", "--type", "anomaly"]));
    let withdrawn = |removal: &&Value| {
        anomalies.iter().any(|event| {
            event["what"] == "recording.kept"
                && event["session"] == removal["session"]
                && position(event) > position(removal)
        })
    };
    let stand = removals.iter().filter(|removal| !withdrawn(removal));
    let of: Vec<_> = stand.map(|event| event["session"].as_str().unwrap()).collect();
    assert_eq!(of, ids[..of.len()], "the oldest first, each once");
    assert!(of.len() >= SESSIONS - 1 && removals[0]["reason"].as_str().unwrap().contains("keep_size = 1MiB"));
    assert!(b.say(&["session", "show", &ids[0]]).contains("the recording was removed by retention at"));
    b.cli(&["session", "export", &ids[0], "--format", "raw"]).fails().says(&["removed by retention"]);
    // A recording that vanishes without an event is still found.
    let last = ids.iter().rev().find(|id| folder(id).exists());
    if let Some(last) = last {
        std::fs::remove_dir_all(folder(last)).unwrap();
        let report = b.cli(&["log", "verify"]).exits(4).text();
        assert!(report.contains(&format!("session {last}: manifest.json is missing")), "{report}");
    }
}
