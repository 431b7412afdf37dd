//! Internal faults, which the name of a check asks for; only in tests.

/// Does what the name of a check asks for, if it names a fault.
pub(super) fn strike(name: &str) {
    match name {
        "fault-panic" => panic!("injected"),
        "fault-overflow" => assert_ne!(std::hint::black_box(u8::MAX) + 1, 0),
        _ => {}
    }
}
