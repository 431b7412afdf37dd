//! The same verdicts: what the kubelet finds with the native probes of a manifest, a real sidecar answers with the
//! variables that `inject` made of them, while the app starts, is well, fails, is well again and hangs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::program::{filtered, objects, pod_spec};
use crate::sidecar::Sidecar;

/// An app whose probes need their header, their paths and their named port.
const MANIFEST: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
        - name: app
          image: app:1
          ports: [{name: http, containerPort: PORT}]
          startupProbe:
            tcpSocket: {port: http}
            periodSeconds: 1
          livenessProbe:
            httpGet: {path: \"/live?x=$(y)\", port: http, httpHeaders: [{name: X-Probe, value: a$b}]}
            periodSeconds: 1
            failureThreshold: 2
          readinessProbe:
            httpGet: {path: /ready, port: http}
            periodSeconds: 1
            failureThreshold: 1
";

/// The way in which the app answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    Failing,
    Hanging,
}

/// Answers on a port from now on, in whatever mood it is.
fn start_app(address: SocketAddr) -> Arc<Mutex<Mood>> {
    let listener = TcpListener::bind(address).expect("the port is still free");
    let mood = Arc::new(Mutex::new(Mood::Well));
    let shared = Arc::clone(&mood);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mood = *shared.lock().expect("a mood");
            std::thread::spawn(move || answer(stream, mood));
        }
    });
    mood
}

fn answer(mut stream: TcpStream, mood: Mood) {
    let reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let head: Vec<String> =
        reader.lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    if mood == Mood::Hanging {
        // Until the other side gives up.
        let _ = stream.read(&mut [0]);
        return;
    }
    let is_right = match head.first().map(String::as_str) {
        Some("GET /live?x=$(y) HTTP/1.1") => head.iter().any(|line| line == "X-Probe: a$b"),
        Some("GET /ready HTTP/1.1") => true,
        _ => false,
    };
    let status = if is_right && mood == Mood::Well { "200 OK" } else { "500 Wrong" };
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

/// Probes once as the kubelet does.
fn probe(probe: &Value, address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = &probe["httpGet"];
    if request.is_null() {
        return true;
    }
    let headers = request["httpHeaders"].as_array().into_iter().flatten().map(|header| {
        format!("{}: {}\r\n", header["name"].as_str().expect("text"), header["value"].as_str().expect("text"))
    });
    let headers: Vec<_> = headers.collect();
    let path = request["path"].as_str().expect("a path");
    let text = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{}\r\n", headers.concat());
    stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    stream.write_all(text.as_bytes()).expect("it takes a request");
    let mut status = [0; 12];
    stream.read_exact(&mut status).is_ok() && status.ends_with(b" 200")
}

const FIELDS: [(&str, &str); 3] =
    [("startupProbe", "/startupz"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")];

#[test]
fn a_sidecar_says_what_the_native_probes_found() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let manifest = MANIFEST.replace("PORT", &free.port().to_string());
    let native = objects(&manifest).iter().find_map(pod_spec).expect("a pod")["containers"][0].clone();
    let injected =
        objects(&filtered(&["inject"], &manifest)).iter().find_map(pod_spec).expect("a pod").clone();
    let env = injected["initContainers"][0]["env"].as_array().expect("variables").clone();
    // As Kubernetes hands it to the process: `$$` is a dollar.
    let text = |variable: &Value, field: &str| variable[field].as_str().expect("text").replace("$$", "$");
    let variables: Vec<_> = env.iter().map(|one| (text(one, "name"), text(one, "value"))).collect();
    let mut variables: Vec<_> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    variables.push(("HEALTH_PROXY_LIVENESS_HOLD_SECONDS", "0"));
    let sidecar = Sidecar::start(&variables);

    // Nobody listens: the app starts.
    assert!(!probe(&native["startupProbe"], free));
    sidecar.wait_for("/startupz", 503);
    sidecar.wait_for("/readyz", 503);
    let mood = start_app(free);
    for (step, moods) in [Mood::Well, Mood::Failing, Mood::Well, Mood::Hanging].into_iter().enumerate() {
        *mood.lock().expect("a mood") = moods;
        for (field, path) in FIELDS {
            // What has started has started: the kubelet does not ask again.
            let passes = field == "startupProbe" || probe(&native[field], free);
            assert_eq!(passes, moods == Mood::Well || field == "startupProbe", "{step}: {field}");
            sidecar.wait_for(path, if passes { 200 } else { 503 });
        }
    }
}
