//! A PostgreSQL of our own, and all tests again on it.

use std::{
    env, fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use crate::support::ON_POSTGRES;

/// A server with nothing in it, on a free port. It is gone when it goes out of scope.
pub(crate) struct Postgres {
    process: Child,
    dir: PathBuf,
    bin: PathBuf,
    port: u16,
}

impl Postgres {
    /// Starts one, or says that there is none to start.
    pub(crate) fn start() -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let Some(bin) = installed() else {
            eprintln!("SKIPPED: PostgreSQL is not installed (`make postgres` installs it)");
            return None;
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("tollgate-pg-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(&dir).status().unwrap().success());
        }
        let made = unprivileged(bin.join("initdb"))
            .args(["--auth=trust", "--username=tollgate", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(&dir)
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "initdb");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = launch(&bin, &dir, port);
        let server = Self { process, dir, bin, port };
        server.wait();
        Some(server)
    }

    /// Its address, to which `/` and a database are added.
    pub(crate) fn url(&self) -> String {
        format!("postgres://tollgate@127.0.0.1:{}", self.port)
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again after that.
    pub(crate) fn return_(&mut self) {
        // What the dead server has started ends by itself, a little later than the server.
        for _ in 0..100 {
            self.process = launch(&self.bin, &self.dir, self.port);
            thread::sleep(Duration::from_millis(200));
            if self.process.try_wait().unwrap().is_none() {
                return self.wait();
            }
        }
        panic!("PostgreSQL does not come back");
    }

    fn wait(&self) {
        for _ in 0..300 {
            let ready = Command::new(self.bin.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status();
            if ready.unwrap().success() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("PostgreSQL is not ready after thirty seconds");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT: it ends at once, and in order.
        let _ = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn launch(bin: &std::path::Path, dir: &std::path::Path, port: u16) -> Child {
    unprivileged(bin.join("postgres"))
        .arg("-D")
        .arg(dir)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "unix_socket_directories=", "-c", "max_connections=300"])
        .args(["-c", "fsync=off"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// PostgreSQL refuses to be run by root: then it is run by the user that its package has made.
/// `setpriv` becomes what it starts, so that a signal reaches it, and ends it if we end.
fn unprivileged(program: PathBuf) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL"]);
    command.current_dir("/").arg(program);
    command
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Where Debian's package puts the programs, the newest first, or wherever `initdb` is.
fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut bins: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    bins.sort();
    bins.reverse();
    bins.extend(env::split_paths(&env::var_os("PATH")?));
    bins.into_iter().find(|bin| bin.join("initdb").is_file())
}

#[test]
fn everything_again_on_postgresql() {
    if env::var_os(ON_POSTGRES).is_some() {
        return;
    }
    let Some(server) = Postgres::start() else { return };
    let mut again = Command::new(env::current_exe().unwrap());
    // What starts a server of its own has been run.
    again.args(["--skip", "postgres"]).args(env::args().filter(|arg| arg == "--nocapture"));
    let output = again.env(ON_POSTGRES, server.url()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("test result: ok") && !said.contains(" 0 passed"), "{said}");
}
