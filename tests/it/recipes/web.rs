//! Web servers and what they pass on to.

use std::fs;

use super::{Directory, Server, eventually, free_port, recipe, start, tells_of};

/// Starts PHP-FPM, which answers `/ping`.
fn php_fpm(directory: &Directory, port: u16) -> Server {
    let configuration = format!(
        "[global]\ndaemonize = no\nerror_log = {}\n[www]\nuser = nobody\ngroup = nogroup\nlisten = 127.0.0.1:{port}\n\
         pm = static\npm.max_children = 1\nping.path = /ping\n",
        directory.at("fpm.log")
    );
    let configuration = directory.write("fpm.conf", configuration);
    let programs = fs::read_dir("/usr/sbin").unwrap().map(|entry| entry.unwrap().path());
    let mut versions = programs.filter(|path| path.to_string_lossy().starts_with("/usr/sbin/php-fpm"));
    let program = versions.next().expect("php-fpm is needed");
    Server::start(program.to_str().unwrap(), &["--no-php-ini", "--fpm-config", &configuration])
}

#[test]
#[ignore = "needs php-fpm"]
fn a_php_fpm_pod() {
    let (directory, port) = (Directory::new(), free_port());
    let server = php_fpm(&directory, port);
    tells_of(&start(&recipe("A PHP-FPM pod", [(9000, port)])), server);
}

#[test]
#[ignore = "needs nginx and php-fpm"]
fn nginx() {
    let (directory, port, behind) = (Directory::new(), free_port(), free_port());
    let paragraph = super::paragraph("nginx");
    let location = paragraph.split('`').find(|code| code.starts_with("location")).expect("a location");
    let location =
        location.replace(":9000", &format!(":{behind}")).replace("include ", "include /etc/nginx/");
    let path = directory.path().display();
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid {path}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n\
         client_body_temp_path {path}/body;\nproxy_temp_path {path}/proxy;\nfastcgi_temp_path {path}/fastcgi;\n\
         uwsgi_temp_path {path}/uwsgi;\nscgi_temp_path {path}/scgi;\n\
         server {{\nlisten 127.0.0.1:{port};\n{location}\n}}\n}}\n"
    );
    let configuration = directory.write("nginx.conf", configuration);
    let server = Server::start("nginx", &["-e", &directory.at("nginx.log"), "-c", &configuration]);
    let fpm = php_fpm(&directory, behind);
    let sidecar = start(&recipe("nginx", [(8080, port)]));
    sidecar.wait_for("/readyz", 200);
    drop(fpm);
    eventually("nginx says so", || sidecar.get("/readyz").body.contains("statuscode: 502").then_some(()));
    sidecar.wait_for("/livez", 200);
    drop(server);
    sidecar.wait_for("/livez", 503);
}
