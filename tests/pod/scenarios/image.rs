//! The image itself: what a reviewer looks at before anything else.

use std::process::Command;

use auditable_info::audit_info_from_slice;

const IMAGE: &str = concat!("localhost/health-proxy:", env!("CARGO_PKG_VERSION"));
const TOOLS_IMAGE: &str = concat!("localhost/health-proxy:", env!("CARGO_PKG_VERSION"), "-tools");

#[cfg(target_arch = "x86_64")]
const OTHER_IMAGE: &str = concat!("localhost/health-proxy:", env!("CARGO_PKG_VERSION"), "-arm64");
#[cfg(not(target_arch = "x86_64"))]
const OTHER_IMAGE: &str = concat!("localhost/health-proxy:", env!("CARGO_PKG_VERSION"), "-amd64");

fn podman(arguments: &[&str]) -> String {
    let output = Command::new("podman").args(arguments).output().expect("podman runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn field(name: &str) -> String {
    podman(&["image", "inspect", "--format", &format!("{{{{{name}}}}}"), IMAGE])
}

#[test]
fn the_image_is_small_and_runs_as_a_numeric_user() {
    let size: u64 = field(".Size").parse().expect("a number");
    assert!(size <= 4_000_000, "{size} bytes");
    assert_eq!(field(".Config.User"), "65532:65532");
    assert_eq!(field(".Config.Entrypoint"), "[/health-proxy]");
    let labels = field("json .Config.Labels");
    for label in ["title", "description", "licenses", "source", "version", "revision"] {
        assert!(labels.contains(&format!("org.opencontainers.image.{label}\"")), "{label}");
    }
}

/// Returns the files in an image, and its binary.
fn contents(image: &str) -> (Vec<String>, Vec<u8>) {
    let container = podman(&["create", "--pull=never", image]);
    let archive = format!("{}/{container}.tar", env!("CARGO_TARGET_TMPDIR"));
    podman(&["export", "--output", &archive, &container]);
    podman(&["rm", &container]);
    let tar = |arguments: &[&str]| {
        let output = Command::new("tar").args(["-f", &archive]).args(arguments).output();
        output.expect("tar runs").stdout
    };
    let listing = String::from_utf8(tar(&["-t"])).expect("names");
    let files = listing.lines().filter(|name| !name.ends_with('/'));
    let files = files.map(str::to_owned).collect();
    let binary = tar(&["-xO", "health-proxy"]);
    std::fs::remove_file(&archive).expect("the archive was written");
    (files, binary)
}

#[test]
fn the_images_hold_the_binary_of_their_architecture_and_nothing_else() {
    let (files, binary) = contents(IMAGE);
    let (files_there, binary_there) = contents(OTHER_IMAGE);
    assert_eq!((&files, &files_there), (&vec!["health-proxy".to_owned()], &files));
    // Byte 18 of an ELF file: 62 is x86-64, 183 is AArch64.
    let mut machines = [binary[18], binary_there[18]];
    machines.sort_unstable();
    assert_eq!(machines, [62, 183]);
}

/// Returns whether Cargo.lock holds this version of a package.
fn is_locked(name: &str, version: &str) -> bool {
    include_str!("../../../Cargo.lock").contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n"))
}

#[test]
fn the_binaries_carry_their_bill_of_materials() {
    for image in [IMAGE, TOOLS_IMAGE, OTHER_IMAGE] {
        let (_, binary) = contents(image);
        let bill = audit_info_from_slice(&binary, 1 << 20).expect("a bill of materials");
        let holds = |name: &str| bill.packages.iter().any(|package| package.name == name);
        for name in ["health-proxy", "rustls", "axum"] {
            assert!(holds(name), "{image}: no {name}");
        }
        // What only tests use is not in the binary, so no scanner is to find fault with it.
        assert!(!holds("proptest"), "{image}");
        for package in &bill.packages {
            let (name, version) = (&package.name, package.version.to_string());
            assert!(is_locked(name, &version), "{image}: {name} {version} is not in Cargo.lock");
        }
    }
}

#[test]
fn the_binary_asks_for_nothing_in_the_image() {
    let version = podman(&["run", "--rm", "--pull=never", "--network=none", IMAGE, "--version"]);
    assert_eq!(version, concat!("health-proxy ", env!("CARGO_PKG_VERSION")));
}
