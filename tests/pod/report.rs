//! What the kubelet reports of a container: started, ready. Pure, and word for word what 1.36 does, with its faults: the
//! old container's `started` is taken over, and a container that boots while the kubelet is restarted counts as started.

use std::time::Instant;

use crate::prober::{Kind, Verdict};

/// Which kubelet it is, where that makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// 1.36, gate `ChangeContainerStatusOnKubeletRestart` off: what was reported before is carried on.
    Carries,
    /// Up to 1.34, and later with that gate on: what it does not know is asked again.
    AsksAgain,
}

/// The status of a container in the API: it outlives the kubelet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    pub id: Option<String>,
    pub running_since: Option<Instant>,
    pub started: bool,
    pub ready: bool,
}

/// The facts by which a kubelet reports on a container.
#[derive(Clone)]
pub struct View<'a> {
    pub release: Release,
    /// The container as the runtime has it.
    pub id: Option<String>,
    pub running_since: Option<Instant>,
    pub before: &'a Reported,
    pub pod_was_ready: bool,
    /// It ran ten seconds and more before this kubelet began.
    pub is_older_than_the_kubelet: bool,
    /// What the workers have published of this very container.
    pub startup: Option<Verdict>,
    pub readiness: Option<Verdict>,
    pub workers: Vec<Kind>,
    pub has_readiness_probe: bool,
}

impl View<'_> {
    /// Returns the new status, and whether readiness has to be asked at once.
    pub fn report(&self) -> (Reported, bool) {
        let started = self.started();
        let (ready, ask_now) = if started { self.ready() } else { (false, false) };
        let reported = Reported { id: self.id.clone(), running_since: self.running_since, started, ready };
        (reported, ask_now)
    }

    fn started(&self) -> bool {
        if self.running_since.is_none() {
            return false;
        }
        match self.startup {
            Some(verdict) => verdict == Verdict::Success,
            None if self.release == Release::Carries && self.before.started => true,
            None => !self.workers.contains(&Kind::Startup),
        }
    }

    fn ready(&self) -> (bool, bool) {
        if self.readiness == Some(Verdict::Success) {
            return (true, false);
        }
        let has_worker = self.workers.contains(&Kind::Readiness);
        let mut ready = !has_worker;
        if self.release == Release::Carries && self.is_older_than_the_kubelet {
            ready |= self.readiness.is_none();
            ready &= !self.has_readiness_probe || self.pod_was_ready;
        }
        (ready, has_worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Reported = Reported { id: None, running_since: None, started: false, ready: false };

    /// Returns a container with all three probes that has just been started.
    fn fresh(before: &Reported) -> View<'_> {
        View {
            release: Release::Carries,
            id: Some("new".to_owned()),
            running_since: Some(Instant::now()),
            before,
            pod_was_ready: false,
            is_older_than_the_kubelet: false,
            startup: None,
            readiness: None,
            workers: vec![Kind::Startup, Kind::Readiness],
            has_readiness_probe: true,
        }
    }

    /// Returns what is reported as started, as ready, and whether readiness is asked at once.
    fn told(view: &View) -> (bool, bool, bool) {
        let (reported, ask_now) = view.report();
        (reported.started, reported.ready, ask_now)
    }

    #[test]
    fn a_container_has_started_when_its_startup_probe_has_passed() {
        assert_eq!(told(&fresh(&NOTHING)), (false, false, false));
        let unknown = View { startup: Some(Verdict::Unknown), ..fresh(&NOTHING) };
        assert_eq!(told(&unknown), (false, false, false));
        let passed = View { startup: Some(Verdict::Success), ..fresh(&NOTHING) };
        assert_eq!(told(&passed), (true, false, true));
        let ready = View { readiness: Some(Verdict::Success), ..passed };
        assert_eq!(told(&ready), (true, true, false));
    }

    #[test]
    fn the_old_container_lends_the_new_one_its_start_and_readiness_is_asked() {
        let before = Reported { id: Some("old".to_owned()), started: true, ready: true, ..NOTHING };
        assert_eq!(told(&fresh(&before)), (true, false, true));
        let older_release = View { release: Release::AsksAgain, ..fresh(&before) };
        assert_eq!(told(&older_release), (false, false, false));
        let seen_by_the_worker = View { startup: Some(Verdict::Unknown), ..fresh(&before) };
        assert_eq!(told(&seen_by_the_worker), (false, false, false));
    }

    #[test]
    fn a_container_that_does_not_run_has_not_started() {
        let before = Reported { started: true, ready: true, ..NOTHING };
        assert_eq!(told(&View { running_since: None, ..fresh(&before) }), (false, false, false));
    }

    #[test]
    fn a_kubelet_that_was_restarted_takes_a_booting_container_for_started() {
        // The first report comes before the workers do.
        let first = View { workers: Vec::new(), ..fresh(&NOTHING) };
        assert!(told(&first).0);
    }

    #[test]
    fn a_well_container_stays_ready_over_a_restart_of_the_kubelet() {
        let before = Reported { id: Some("new".to_owned()), started: true, ready: true, ..NOTHING };
        let survivor = View { is_older_than_the_kubelet: true, pod_was_ready: true, ..fresh(&before) };
        assert_eq!(told(&survivor), (true, true, true));
        assert_eq!(told(&View { pod_was_ready: false, ..survivor.clone() }), (true, false, true));
        let asked_again = View {
            release: Release::AsksAgain,
            startup: Some(Verdict::Unknown),
            readiness: Some(Verdict::Failure),
            ..survivor
        };
        assert_eq!(told(&asked_again), (false, false, false));
    }
}
