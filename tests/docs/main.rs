//! The pages say what the program does: whatever has a name there exists, and whatever exists has its place there.

#[path = "../fixtures/expand.rs"]
mod expand;
mod manifests;
#[path = "../manifests/schema.rs"]
mod schema;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use health_proxy::config::Config;
use health_proxy::grammar::{options, target};
use serde_json::Value;

/// The longest front door, in lines.
const README_LINES: usize = 150;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns every page, by its path.
fn pages() -> Vec<(String, String)> {
    let mut paths: Vec<_> =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md"]
            .into_iter()
            .chain([
                "k8s/component/README.md",
                "k8s/helm/README.md",
                "k8s/injection/README.md",
                "k8s/monitoring/README.md",
            ])
            .map(str::to_owned)
            .collect();
    let docs = fs::read_dir(repository("docs")).expect("there are pages");
    paths.extend(docs.map(|entry| format!("docs/{}", entry.expect("an entry").file_name().display())));
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// Returns the parts of a text that are words of `is_part` and begin with `beginning`.
fn words<'t>(text: &'t str, beginning: &str, is_part: fn(char) -> bool) -> BTreeSet<&'t str> {
    let word = |(start, _): (usize, &str)| {
        let rest = &text[start..];
        &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())]
    };
    text.match_indices(beginning).map(word).collect()
}

/// Returns what stands between fences of `language`.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let fence = format!("\n```{language}\n");
    let after = text.split(&fence).skip(1);
    after.map(|rest| rest.split("\n```").next().unwrap_or_default()).collect()
}

fn problems(variables: &[(&str, &str)]) -> Vec<String> {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::read(variables)
        .err()
        .map(|error| error.to_string().lines().map(str::to_owned).collect())
        .unwrap_or_default()
}

#[test]
fn the_front_door_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= README_LINES, "{lines} lines");
}

#[test]
fn every_target_option_and_setting_has_its_row_and_no_row_is_without_one() {
    let page = read("docs/configuration.md");
    let forms = target::accepted();
    for form in forms.split(", ").map(|form| form.trim_end_matches('…')) {
        assert!(page.contains(&format!("`{form}")), "{form} is not in the page");
    }
    let is_upper = |c: char| c.is_ascii_uppercase() || c == '_';
    for option in options::ALL {
        assert!(page.contains(&format!("`_{}`", option.suffix)), "_{} is not in the page", option.suffix);
    }
    for option in words(&page, "`_", |c| c == '`' || c.is_ascii_uppercase() || c == '_') {
        let name = option.trim_matches('`').trim_start_matches('_');
        assert!(
            name.is_empty() || options::ALL.iter().any(|known| known.suffix == name),
            "{option} does not exist"
        );
    }
    let unknown = problems(&[("HEALTH_PROXY_X", "1"), ("LIVENESS_A", "tcp://:1")]);
    let known = unknown[0].split("accepted: ").nth(1).expect("what is accepted");
    let known: BTreeSet<_> = known.split(", ").collect();
    assert_eq!(words(&page, "HEALTH_PROXY_", is_upper), known);
}

/// Returns the name of a metric without what histograms add.
fn series(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

#[test]
fn every_metric_has_its_place_and_no_other_is_named() {
    let source: String =
        ["src/metrics.rs", "src/metrics/checks.rs", "src/metrics/pod.rs", "src/metrics/process.rs"]
            .map(read)
            .concat();
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let exist = words(&source, "health_proxy_", is_name);
    let page = read("docs/kubernetes.md");
    for name in exist.iter().filter(|name| series(name) == **name) {
        let is_short = |at: usize| page.contains(&format!("`…{}`", &name[at..]));
        let is_there =
            page.contains(&format!("`{name}`")) || name.match_indices('_').any(|(at, _)| is_short(at));
        assert!(is_there, "{name} is not in the page");
    }
    for (path, text) in pages() {
        for name in words(&text, "health_proxy_", is_name) {
            let base = series(name);
            let is_rule = text.contains(&format!("{name}:"));
            assert!(
                is_rule || exist.iter().any(|one| one.starts_with(base)),
                "{path}: {name} does not exist"
            );
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    let anchor = |title: &str| {
        let kept = title.trim().to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .collect::<String>()
            .replace(' ', "-")
    };
    for (path, text) in pages() {
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap_or_default()) {
            if link.starts_with("http") {
                continue;
            }
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            let folder = repository(&path).parent().expect("a folder").to_owned();
            let there = if file.is_empty() { repository(&path) } else { folder.join(file) };
            assert!(there.exists(), "{path}: {link}");
            if !section.is_empty() {
                let target = fs::read_to_string(&there).expect("a page");
                let titles = target.lines().filter_map(|line| line.strip_prefix('#'));
                let is_there =
                    titles.map(|title| anchor(title.trim_start_matches('#'))).any(|title| title == section);
                assert!(is_there, "{path}: {link}");
            }
        }
    }
}

#[test]
fn every_recipe_is_a_configuration() {
    let page = read("docs/recipes.md");
    let recipes = blocks(&page, "yaml");
    assert!(recipes.len() > 12, "{}", recipes.len());
    for recipe in recipes {
        let env: Vec<Value> =
            serde_saphyr::from_str(recipe).unwrap_or_else(|error| panic!("{recipe}: {error}"));
        // What comes from elsewhere may be anything.
        let env = expand::variables(&env, "p@ss/word?#%");
        let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(problems(&env), [""; 0], "{recipe}");
    }
}

#[test]
fn the_configuration_of_the_front_door_is_one() {
    let readme = read("README.md");
    let block =
        blocks(&readme, "ini").into_iter().find(|block| block.starts_with("LIVENESS_")).expect("a block");
    let variable = |line: &'static str| {
        let line = line.split("   #").next().unwrap_or_default().trim_end();
        line.split_once('=').expect("a variable")
    };
    let block: &'static str = block.to_owned().leak();
    let variables: Vec<_> = block.lines().map(variable).chain([("REDIS_PASSWORD", "p@ss")]).collect();
    assert_eq!(problems(&variables), [""; 0]);
}
