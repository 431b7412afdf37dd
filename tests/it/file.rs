//! `file:` targets.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use health_proxy::outcome::Outcome;

use crate::attempt::{Directory, failure, problems, run, target};

#[tokio::test]
async fn a_file_that_exists_passes_and_a_missing_one_says_so() {
    let directory = Directory::new();
    let check = target(&format!("file:{}", directory.at("ready")), &[]);
    let missing = failure(&check).await;
    assert_eq!(missing, format!("{}: no such file or directory", directory.at("ready")));
    directory.write("ready", "");
    assert_eq!(run(&check).await, Outcome::Success);
}

#[tokio::test]
async fn links_are_followed_and_a_directory_is_no_file() {
    let directory = Directory::new();
    symlink("target", directory.at("link")).unwrap();
    let check = target(&format!("file:{}", directory.at("link")), &[]);
    assert_eq!(failure(&check).await, format!("{}: no such file or directory", directory.at("link")));
    directory.write("target", "");
    assert_eq!(run(&check).await, Outcome::Success);
    fs::remove_file(directory.at("target")).unwrap();
    fs::create_dir(directory.at("target")).unwrap();
    assert_eq!(failure(&check).await, format!("{}: is a directory, not a file", directory.at("link")));
    let below = target(&format!("file:{}/x/y", directory.write("plain", "")), &[]);
    assert!(failure(&below).await.ends_with("/plain/x/y: not a directory"));
}

#[tokio::test]
async fn a_heartbeat_must_be_recent() {
    let directory = Directory::new();
    let beat = File::create(directory.at("beat")).unwrap();
    let check = target(&format!("file:{}", directory.at("beat")), &[("MAX_AGE_SECONDS", "30")]);
    assert_eq!(run(&check).await, Outcome::Success);

    let now = SystemTime::now();
    beat.set_modified(now - Duration::from_secs(100)).unwrap();
    let reason = failure(&check).await;
    let (age, rest) = reason.rsplit_once(" was modified ").unwrap().1.split_once(" s ago").unwrap();
    assert!((100.0..160.0).contains(&age.parse::<f64>().unwrap()), "{reason}");
    assert_eq!(rest, ", 30s is allowed");

    // A clock that is a little off is no reason; a time far ahead would never age.
    beat.set_modified(now + Duration::from_secs(20)).unwrap();
    assert_eq!(run(&check).await, Outcome::Success);
    beat.set_modified(now + Duration::from_secs(3600)).unwrap();
    let reason = failure(&check).await;
    assert!(reason.ends_with(" s in the future"), "{reason}");
}

#[test]
fn what_is_accepted() {
    assert_eq!(
        problems("file:/x", &[("MAX_AGE_SECONDS", "-1"), ("METHOD", "GET")]),
        [
            "LIVENESS_T_MAX_AGE_SECONDS=\"-1\": accepted: seconds from 0.01 to 31536000, such as 10 or 0.5",
            "LIVENESS_T_METHOD=\"GET\": a file target has no such option"
        ]
    );
}
