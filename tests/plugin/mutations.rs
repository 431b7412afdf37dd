//! Manifests with something broken somewhere: an error or a right answer, never a panic, never half an answer.

use health_proxy::plugin::inject::inject;
use health_proxy::plugin::input::Input;
use health_proxy::plugin::plan::Options;
use health_proxy::plugin::set::Set;
use health_proxy::plugin::sidecar::Source;
use health_proxy::plugin::uninject::uninject;
use proptest::prelude::*;

use crate::program::manifests;

/// A damage that may be done to a line.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Gone,
    Twice,
    Deeper,
    Flatter,
    Empty,
    Anchored,
    Commented,
}

const DAMAGES: [Damage; 7] = [
    Damage::Gone,
    Damage::Twice,
    Damage::Deeper,
    Damage::Flatter,
    Damage::Empty,
    Damage::Anchored,
    Damage::Commented,
];

fn damaged(text: &str, places: &[(prop::sample::Index, Damage)]) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for (place, damage) in places {
        let index = place.index(lines.len());
        let line = lines[index].clone();
        let value = |new: &str| line.find(": ").map_or(line.clone(), |at| format!("{}{new}\n", &line[..=at]));
        match damage {
            Damage::Gone => lines[index].clear(),
            Damage::Twice => lines.insert(index, line),
            Damage::Deeper => lines[index] = format!("  {line}"),
            Damage::Flatter => line.strip_prefix("  ").unwrap_or(&line).clone_into(&mut lines[index]),
            Damage::Empty => lines[index] = value(""),
            Damage::Anchored => lines[index] = value(" &a null"),
            Damage::Commented => lines[index] = format!("{} # why\n", line.trim_end()),
        }
    }
    lines.concat()
}

/// Returns every value of a text, as Kubernetes would read it; `None` where it would not.
fn meaning(text: &str) -> Option<Vec<serde_json::Value>> {
    serde_saphyr::from_multiple(text).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_broken_is_refused_or_handled(
        manifest in any::<prop::sample::Index>(),
        places in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&DAMAGES[..])), 1..4),
    ) {
        let manifests = manifests();
        let (name, text) = &manifests[manifest.index(manifests.len())];
        let text = damaged(text, &places);
        let input = Input { name: name.clone(), text: text.clone() };
        let source = Source::read().expect("the source");
        let injected = inject(&input, &Options::default(), &Set::default(), &source);
        if let Ok(injected) = injected {
            let again = Input { name: name.clone(), text: injected.text };
            let twice = inject(&again, &Options::default(), &Set::default(), &source);
            let twice = twice.map_err(|faults| TestCaseError::fail(format!("{faults:?}\n{text}")))?;
            prop_assert_eq!(&twice.text, &again.text, "{}", text);
            let back = uninject(&again, &source);
            let back = back.map_err(|faults| TestCaseError::fail(format!("{faults:?}\n{text}")))?;
            prop_assert_eq!(meaning(&back.text), meaning(&text), "{}\n{}", text, back.text);
        }
    }
}
