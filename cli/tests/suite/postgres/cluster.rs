//! A PostgreSQL server of a test's own: a directory, a socket in it, and a port of this machine.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

use tempfile::TempDir;

use crate::bench::Ended;

/// Where the server's programs are.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    env::var_os("ADMIT_POSTGRES")
        .unwrap_or_else(|| panic!("ADMIT_POSTGRES names the directory of initdb, pg_ctl and psql"))
        .into()
});

/// Whether this is root: PostgreSQL refuses to run as root.
static IS_ROOT: LazyLock<bool> = LazyLock::new(|| {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
});

/// A running server. The end of the test stops it.
pub struct Cluster {
    dir: TempDir,
    /// The port on 127.0.0.1, and of the socket.
    pub port: u16,
}

impl Cluster {
    /// Makes a server and starts it.
    pub fn start() -> Self {
        let cluster = Self::make("trust");
        cluster.start_again();
        cluster
    }

    /// Makes a server whose users over TCP have passwords, and that has the certificate in `certificate`, PEM
    /// of itself and its key. Starts it.
    pub fn with_tls(certificate: &str, key: &str) -> Self {
        let cluster = Self::make("scram-sha-256");
        let data = cluster.dir().join("data");
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = data.join(name);
            fs::write(&path, text).unwrap();
            run("chmod", &["600", path.to_str().unwrap()]);
            cluster.give(&path);
        }
        let mut conf = fs::read_to_string(data.join("postgresql.conf")).unwrap();
        conf.push_str("\nssl = on\n");
        fs::write(data.join("postgresql.conf"), conf).unwrap();
        cluster.start_again();
        cluster
    }

    fn make(auth_host: &str) -> Self {
        // The path of a socket has 108 bytes at most, and postgres must be able to enter every folder above it.
        let dir = tempfile::Builder::new().prefix("admit-pg-").tempdir_in("/tmp").unwrap();
        run("chmod", &["755", dir.path().to_str().unwrap()]);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { dir, port };
        cluster.give(cluster.dir());
        let data = cluster.dir().join("data").display().to_string();
        let auth = format!("--auth-host={auth_host}");
        let args = [
            "-D",
            &data,
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-N",
            "--auth-local=trust",
            &auth,
        ];
        cluster.server("initdb", &args);
        cluster
    }

    /// The directory, with the socket.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the server after [`Self::stop`].
    pub fn start_again(&self) {
        // Without fsync a crash of the machine could lose data, but not that of a process.
        let options = format!(
            "-k {} -c listen_addresses=127.0.0.1 -c port={} -c fsync=off -c max_connections=60",
            self.dir().display(),
            self.port
        );
        let log = self.dir().join("log").display().to_string();
        self.pg_ctl(&["-l", &log, "-w", "-o", &options, "start"]);
    }

    /// Stops the server: `fast`, or `immediate` as a crash does.
    pub fn stop(&self, mode: &str) {
        self.pg_ctl(&["-m", mode, "-w", "stop"]);
    }

    /// Runs statements as a user over the socket; fails the test if one fails. Returns the values.
    pub fn sql_as(&self, user: &str, sql: &str) -> String {
        self.try_sql(user, sql).ok().stdout.trim_end().to_owned()
    }

    /// Runs statements as the owner.
    pub fn sql(&self, sql: &str) -> String {
        self.sql_as("postgres", sql)
    }

    /// Runs statements as a user, each in a transaction of its own.
    pub fn try_sql(&self, user: &str, sql: &str) -> Ended {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), sql).unwrap();
        let args =
            ["-v", "ON_ERROR_STOP=1", "-AtqX", "-U", user, "-f", file.path().to_str().unwrap(), "postgres"];
        self.client("psql", &args).output().unwrap().into()
    }

    /// A client program, set up to connect over the socket.
    pub fn client(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAMS.join(name));
        command.args(args).env("PGHOST", self.dir()).env("PGPORT", self.port.to_string());
        command.current_dir(self.dir());
        command
    }

    /// The URL for a role over the socket.
    pub fn url(&self, role: &str) -> String {
        format!("postgres://{role}@/postgres?host={}&port={}", self.dir().display(), self.port)
    }

    fn pg_ctl(&self, args: &[&str]) {
        let data = self.dir().join("data").display().to_string();
        self.server("pg_ctl", &[&["-D", &data], args].concat());
    }

    /// Runs a program of the server, which refuses to run as root.
    fn server(&self, name: &str, args: &[&str]) {
        let program = PROGRAMS.join(name);
        let mut command = Command::new(if *IS_ROOT { Path::new("runuser") } else { &program });
        if *IS_ROOT {
            command.args(["-u", "postgres", "--"]).arg(&program);
        }
        // The server keeps its standard output open, so that must not be a pipe.
        let output = fs::File::create(self.dir().join(format!("{name}.out"))).unwrap();
        command.args(args).current_dir(self.dir()).stdout(output.try_clone().unwrap()).stderr(output);
        let status = command.status().unwrap();
        assert!(
            status.success(),
            "{name} {args:?}: {}",
            fs::read_to_string(self.dir().join(format!("{name}.out"))).unwrap()
        );
    }

    /// Gives a file or directory to the user who runs the server.
    fn give(&self, path: &Path) {
        if *IS_ROOT {
            run("chown", &["postgres", path.to_str().unwrap()]);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.dir().join("data/postmaster.pid").exists() {
            let data = self.dir().join("data").display().to_string();
            self.server("pg_ctl", &["-D", &data, "-m", "immediate", "-w", "stop"]);
        }
    }
}

fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
