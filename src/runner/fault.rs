//! Faults of our own, which a check's name asks for in tests alone.

/// Does what the name of a check asks for, if it names a fault.
pub(super) fn strike(name: &str) {
    match name {
        "fault-panic" => panic!("injected"),
        "fault-overflow" => assert_ne!(std::hint::black_box(u8::MAX) + 1, 0),
        _ => {}
    }
}
