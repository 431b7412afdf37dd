//! Text that is written is read back the same.

use std::ffi::OsString;

use proptest::prelude::*;

use super::*;
use crate::tracker::Thresholds;

fn read_back(variables: Vec<(String, String)>) -> Vec<Spec> {
    let os = |(name, value)| (OsString::from(name), OsString::from(value));
    read(variables.into_iter().map(os)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn target() -> impl Strategy<Value = TargetSpec> {
    let host = || prop_oneof!["", "localhost", "[a-z]{1,9}(\\.[a-z]{1,9}){0,2}", Just("[::1]".to_owned())];
    let port = || 1..=u16::MAX;
    let user =
        || prop_oneof!["", "[a-z]{1,5}:[a-z%2F0]{0,5}@"].prop_filter("an escape", |u| !u.contains('%'));
    let web = (prop_oneof![Just("http"), Just("https")], user(), host(), port(), "(/[ -~äß]{0,9}){0,3}");
    let text = prop_oneof![
        web.prop_map(|(scheme, user, host, port, path)| format!("{scheme}://{user}{host}:{port}{path}")),
        (user(), "(/[ -~äß]{1,9}){1,3}", "(/[ -~]{0,9}){0,3}").prop_map(|(user, socket, path)| {
            let socket: Vec<_> = socket.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let socket = socket.concat();
            format!("http+unix://{user}{socket}{path}")
        }),
        (host(), port()).prop_map(|(host, port)| format!("tcp://{host}:{port}")),
        "unix:/\\PC{1,20}",
        "file:/\\PC{1,20}",
        (prop_oneof![Just("grpc"), Just("grpcs")], host(), port(), "(/\\PC{0,9})?")
            .prop_map(|(scheme, host, port, service)| format!("{scheme}://{host}:{port}{service}")),
        (prop::collection::vec("\\PC{0,9}", 0..4), "[^\\x00]{1,9}").prop_map(|(words, program)| {
            let words: Vec<_> = std::iter::once(program).chain(words).collect();
            format!("exec:{}", serde_json::to_string(&words).unwrap())
        }),
    ];
    // A space at the end of a URL is a slip.
    let text = text.prop_map(|text| {
        let is_url = text.contains("://");
        if is_url { text.trim_end_matches(|c: char| c.is_ascii_whitespace()).to_owned() } else { text }
    });
    text.prop_map(|text| TargetSpec::read(&text).unwrap_or_else(|error| panic!("{text:?}: {error}")))
}

fn timing(probe: Probe) -> impl Strategy<Value = Timing> {
    let seconds = |least: u64| (least..3_000_000_000).prop_map(std::time::Duration::from_millis);
    let success = if probe == Probe::Readiness { 1..=u32::MAX } else { 1..=1 };
    let unhealthy = prop::option::of(seconds(10));
    (seconds(0), seconds(10), unhealthy, seconds(10), success, 1..=u32::MAX).prop_map(
        |(initial_delay, period, unhealthy_period, timeout, success, failure)| {
            let thresholds = Thresholds { success, failure };
            Timing { initial_delay, period, unhealthy_period, timeout, thresholds }
        },
    )
}

fn spec() -> impl Strategy<Value = Spec> {
    let probe = prop_oneof![Just(Probe::Liveness), Just(Probe::Readiness), Just(Probe::Startup)];
    let own = options::ALL
        .iter()
        .filter(|name| !name.has_probe_default && ![options::REQUIRED, options::ANY_OF].contains(name));
    let own: Vec<_> = own.copied().collect();
    // A name of digits is nobody's option, and a value of digits nobody's target.
    let options = prop::collection::btree_map(prop::sample::select(own), "[0-9]{0,5}", 0..4);
    let container = prop::option::of("[a-z]([a-z0-9-]{0,9}[a-z0-9])?");
    let group = prop::option::of("g[0-9-]{0,9}");
    probe.prop_flat_map(move |probe| {
        let parts = (target(), timing(probe), "[a-z0-9]{1,5}(-[a-z0-9]{1,5}){0,2}");
        (parts, container.clone(), any::<bool>(), group.clone(), options.clone()).prop_filter_map(
            "a name of our own",
            move |((target, timing, name), container, required, any_of, options)| {
                let options = options.into_iter().collect();
                let container = container.map(Arc::from);
                let any_of = any_of.map(Arc::from);
                let spec =
                    Spec { container, timing, required, any_of, options, ..Spec::new(probe, &name, target) };
                let is_free = !RESERVED.contains(&name.as_str()) && !is_option(&name);
                is_free.then_some(spec)
            },
        )
    })
}

/// Returns whether a check of this name reads as a default of its probe.
fn is_option(name: &str) -> bool {
    let variable = name.to_ascii_uppercase().replace('-', "_");
    options::ALL.iter().any(|option| option.suffix == variable)
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(spec in spec()) {
        prop_assert_eq!(read_back(write(&spec)), [spec]);
    }

    #[test]
    fn what_is_shown_can_be_typed_where_no_secret_is_left_out(target in target()) {
        let shown = target.redacted();
        if !shown.contains("***@") {
            prop_assert_eq!(TargetSpec::read(&shown).unwrap().redacted(), shown);
        }
    }
}

#[test]
fn only_what_differs_from_the_defaults_is_written() {
    let mut spec = Spec::new(Probe::Readiness, "main-db", TargetSpec::read("tcp://:5432").unwrap());
    let written = |spec: &Spec| -> Vec<String> {
        write(spec).into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    assert_eq!(written(&spec), ["READINESS_MAIN_DB=tcp://:5432"]);
    spec.timing.timeout = std::time::Duration::from_millis(2500);
    spec.container = Some("db".into());
    spec.options.set(options::EXPECT, "ok");
    assert_eq!(
        written(&spec),
        [
            "READINESS_MAIN_DB=tcp://:5432",
            "READINESS_MAIN_DB_TIMEOUT_SECONDS=2.5",
            "READINESS_MAIN_DB_CONTAINER=db",
            "READINESS_MAIN_DB_EXPECT=ok",
        ]
    );
}

#[test]
fn a_target_is_shown_without_its_user() {
    for (written, shown) in [
        ("http+unix://u:p@%2Frun%2Fapp.sock/old", "http+unix://***@%2Frun%2Fapp.sock/old"),
        ("grpc://:50051/my.Service", "grpc://localhost:50051/my.Service"),
        ("https://[::1]:443", "https://[::1]:443/"),
        ("exec:[\"ls\", \"a b\"]", "exec:ls 'a b'"),
    ] {
        assert_eq!(TargetSpec::read(written).unwrap().redacted(), shown);
    }
}

#[test]
fn a_secret_is_in_no_debug_output() {
    let target = TargetSpec::read("http://user:hunter2@:80/").unwrap();
    let mut spec = Spec::new(Probe::Liveness, "web", target);
    spec.options.set(options::HTTP_HEADERS, "Authorization: hunter2");
    assert!(!format!("{spec:?}").contains("hunter2"));
    assert_eq!(spec.target.redacted(), "http://***@localhost:80/");
}
