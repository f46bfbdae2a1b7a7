//! A Slurm of one node on this machine, with configuration and state of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::processes::wait;

/// Time between looks: each starts a command of Slurm.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);
/// Longer than the daemons take to start.
const LIMIT: Duration = Duration::from_secs(30);

/// The daemons; dropping it ends them and removes their folder.
pub(super) struct Daemons {
    children: Vec<Child>,
    /// In the system's folder for temporary files: paths of sockets must be short.
    folder: PathBuf,
}

impl Daemons {
    /// Starts the daemons and waits until the node takes jobs.
    pub(super) fn start() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("vlp-slurm-{}", std::process::id()));
        let mut daemons = Self {
            children: vec![],
            folder,
        };
        daemons
            .write_files()
            .map_err(|e| format!("{}: {e}", daemons.folder.display()))?;
        let folder = daemons.folder.clone();
        let path = |name: &str| folder.join(name).display().to_string();
        daemons.spawn(
            "munged",
            &[
                "--foreground",
                &format!("--key-file={}", path("munge.key")),
                &format!("--socket={}", path("munge.socket")),
                &format!("--pid-file={}", path("munged.pid")),
                &format!("--log-file={}", path("munged.log")),
                &format!("--seed-file={}", path("munged.seed")),
            ],
        )?;
        daemons.wait("munged", |daemons| {
            daemons.folder.join("munge.socket").exists()
        })?;
        daemons.spawn("slurmctld", &["-D"])?;
        daemons.spawn("slurmd", &["-D"])?;
        daemons.wait("an idle node", |daemons| {
            daemons.output("sinfo", &["--noheader", "--format=%t"]) == "idle"
        })?;
        Ok(daemons)
    }

    fn write_files(&self) -> std::io::Result<()> {
        for folder in ["state", "spool"] {
            fs::create_dir_all(self.folder.join(folder))?;
        }
        let key = self.folder.join("munge.key");
        let mut random = File::open("/dev/urandom")?;
        let mut bytes = [0; 128];
        std::io::Read::read_exact(&mut random, &mut bytes)?;
        fs::write(&key, bytes)?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&key, private)?;
        let host = fs::read_to_string("/proc/sys/kernel/hostname")?;
        let host = host.trim().split('.').next().unwrap_or_default().to_owned();
        fs::write(self.conf(), configuration(&self.folder, &host, cores()))
    }

    fn conf(&self) -> PathBuf {
        self.folder.join("slurm.conf")
    }

    fn spawn(&mut self, name: &str, arguments: &[&str]) -> Result<(), String> {
        let failed = |e| format!("{name}: {e}");
        let log = File::create(self.folder.join(format!("{name}.out"))).map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        let mut command = self.command(name);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        self.children.push(command.spawn().map_err(failed)?);
        Ok(())
    }

    /// A command of Slurm that uses these daemons.
    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.env("SLURM_CONF", self.conf());
        command
    }

    /// What a command prints.
    pub(super) fn output(&self, name: &str, arguments: &[&str]) -> String {
        let output = self
            .command(name)
            .args(arguments)
            .stderr(Stdio::null())
            .output();
        let output = output.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_owned()
    }

    fn wait(&self, what: &str, condition: impl Fn(&Self) -> bool) -> Result<(), String> {
        match wait::until(INTERVAL, LIMIT, || Ok(condition(self)))? {
            true => Ok(()),
            false => {
                let log = |name| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
                let logs = ["munged.out", "slurmctld.out", "slurmd.out"];
                let (seconds, logs) = (LIMIT.as_secs(), logs.map(log).concat());
                Err(format!("Slurm: no {what} after {seconds} s; {logs}"))
            }
        }
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        let _ = self
            .command("scancel")
            .args(["--user", "root", "--signal=KILL"])
            .status();
        for child in self.children.iter_mut().rev() {
            super::job::send("TERM", &child.id().to_string());
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// `slurm.conf` with ports of its own. Short times: a requeued job starts again once its credential has expired, and the tasks
/// of a failed step are killed 5 s after SIGTERM, which by default is 30 s.
fn configuration(folder: &Path, host: &str, cores: usize) -> String {
    let folder = folder.display();
    format!(
        "ClusterName=vlp
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES OverSubscribe=FORCE:8 State=UP
"
    )
}
