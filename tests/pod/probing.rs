//! The threads of the probe workers, and the probes themselves.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};

use crate::answers::{Answer, Outcome};
use crate::manifest::port_number;
use crate::native;
use crate::network::spawn_on_node;
use crate::prober::{Kind, Tick, Verdict, Worker, probes};
use crate::request::{self, KUBELET, Question};
use crate::state::Shared;

/// Reports, and then starts the workers that there are not yet: one for each probe of each container. Both belong to
/// one kubelet, whenever the next one comes.
pub fn report_and_add_workers(pod: &Arc<Shared>) {
    let probed: Vec<_> = pod.manifest.probed().cloned().collect();
    let mut state = pod.lock();
    state.report(&probed);
    let (generation, began) = (state.kubelet.generation, state.kubelet.began);
    let mut tasks = Vec::new();
    for container in probed {
        for (kind, probe) in probes(&container) {
            if state.kubelet.workers.insert((container.name.clone(), kind)) {
                let (pod, container, probe) = (Arc::clone(pod), container.clone(), probe.clone());
                tasks.push(Task { pod, generation, container, kind, probe });
            }
        }
    }
    drop(state);
    pod.changed.notify_all();
    for task in tasks {
        pod.keep_thread(spawn_on_node(move || task.run(began)));
    }
}

/// One worker's thread, of one kubelet.
struct Task {
    pod: Arc<Shared>,
    generation: u32,
    container: Container,
    kind: Kind,
    probe: Probe,
}

/// The reason for which a worker looks at its container.
enum Call {
    Tick,
    AtOnce,
    Over,
}

impl Task {
    /// Probes at once and then once per tick; of the ticks that a probe overruns one is kept. A call to ask at once moves
    /// the ticks. Just after the kubelet itself has begun, the first one waits for some part of a period.
    fn run(&self, kubelet_began: Option<Instant>) {
        let period = seconds(self.probe.period_seconds, 10);
        let mut worker = Worker::new(self.kind, &self.probe);
        let mut next = Instant::now();
        if kubelet_began.is_some_and(|began| began.elapsed() < period) {
            next += period.mul_f64(some_part());
            if let Call::Over = self.wait(next) {
                return;
            }
        }
        while self.look(&mut worker) {
            next += period;
            while next + period <= Instant::now() {
                next += period;
            }
            match self.wait(next) {
                Call::Tick => {}
                Call::AtOnce => next = Instant::now(),
                Call::Over => return,
            }
        }
    }

    /// Looks at the container once, and probes if it is time; `false` when it was the last look.
    fn look(&self, worker: &mut Worker) -> bool {
        let Some(seen) = self.pod.seen(self.generation, &self.container.name) else {
            return false;
        };
        let publish =
            |verdict| self.pod.publish(self.generation, &self.container.name, &seen, self.kind, verdict);
        if let Some(initial) = worker.meet(&seen) {
            publish(initial);
        }
        match worker.tick(&seen) {
            Tick::Wait => {}
            Tick::Fail => publish(Verdict::Failure),
            Tick::End => {
                publish(Verdict::Success);
                return false;
            }
            Tick::Probe => {
                if let Some(verdict) = worker.count(self.attempt()) {
                    publish(verdict);
                }
            }
        }
        true
    }

    fn wait(&self, next: Instant) -> Call {
        let mut state = self.pod.lock();
        loop {
            if state.gone || state.kubelet.generation != self.generation {
                return Call::Over;
            }
            if self.kind == Kind::Readiness && state.kubelet.asked.remove(&self.container.name) {
                return Call::AtOnce;
            }
            if Instant::now() >= next {
                return Call::Tick;
            }
            state = self.pod.wait(state, next);
        }
    }

    /// Runs the probe once, records what came of it, and returns whether it passed.
    fn attempt(&self) -> bool {
        let asked = self.pod.born.elapsed();
        let attempt = self.pod.status(&self.container.name).attempts.saturating_sub(1);
        let outcome = self.ask();
        let (name, kind, passed) = (&self.container.name, self.kind, outcome.passed);
        if !passed {
            self.pod.event(&format!("Unhealthy: {name} {kind:?} probe failed: {}", outcome.reason));
        }
        let answered = self.pod.born.elapsed();
        let mut state = self.pod.lock();
        // What a kubelet learns after its end it tells nobody.
        if state.kubelet.generation == self.generation {
            state.answers.push(Answer { container: name.clone(), kind, attempt, asked, answered, outcome });
        }
        passed
    }

    fn ask(&self) -> Outcome {
        let timeout = seconds(self.probe.timeout_seconds, 1);
        let address = |port: u16| self.pod.address(port);
        if let Some(request) = &self.probe.http_get {
            return self.get(request, timeout);
        }
        let passed = if let Some(socket) = &self.probe.tcp_socket {
            native::connect(address(port_number(&self.container, &socket.port)), timeout)
        } else if let Some(service) = &self.probe.grpc {
            let port = service.port.try_into().expect("a port");
            native::call(address(port), service.service.as_deref().unwrap_or_default(), timeout)
        } else {
            return self.execute();
        };
        Outcome::without_status(passed)
    }

    fn get(&self, request: &HTTPGetAction, timeout: Duration) -> Outcome {
        let path = request.path.as_deref().unwrap_or_default();
        let headers = request.http_headers.iter().flatten();
        let question = Question {
            path: &format!("/{}", path.strip_prefix('/').unwrap_or(path)),
            agent: KUBELET,
            headers: headers.map(|header| (header.name.clone(), header.value.clone())).collect(),
        };
        let address = self.pod.address(port_number(&self.container, &request.port));
        if request.scheme.as_deref() == Some("HTTPS") {
            return Outcome::without_status(native::get_over_tls(address, &question, timeout));
        }
        match request::ask(address, &question, timeout) {
            Ok((status, body)) => Outcome {
                passed: request::is_success(status),
                status: Some(status),
                reason: request::failure(status),
                body,
            },
            Err(reason) => Outcome::without_status(Err(reason)),
        }
    }

    fn execute(&self) -> Outcome {
        let command = self.probe.exec.as_ref().and_then(|exec| exec.command.as_ref());
        let status = self.pod.status(&self.container.name);
        let running = status.container.expect("a container that is probed runs");
        let limit = seconds(self.probe.timeout_seconds, 1);
        let output = running.exec_within(command.expect("an HTTP or an exec probe"), limit);
        let reason = output.as_ref().map_or("command timed out".to_owned(), |output| {
            String::from_utf8_lossy(&output.stdout).into_owned()
        });
        let passed = output.is_some_and(|output| output.status.success());
        Outcome { passed, status: None, reason, body: String::new() }
    }
}

/// Returns some part of one, a different one each time.
fn some_part() -> f64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970");
    f64::from(now.subsec_micros() % 1000) / 1000.0
}

fn seconds(configured: Option<i32>, default: u64) -> Duration {
    configured.map_or(Duration::from_secs(default), |seconds| {
        Duration::from_secs(seconds.try_into().expect("seconds are not negative"))
    })
}
