//! Hosts as network namespaces that a bridge connects: processes on them have only TCP in common.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Failure;
use super::job::send;
use super::lab::Lab;

/// Prefix of namespaces and interfaces.
const NAME: &str = "vlpd";
const BRIDGE: &str = "vlpd0";
const SUBNET: &str = "10.78.0";

/// Hosts 1 to `hosts`; dropping it removes them and kills what runs on them.
pub(super) struct Network {
    hosts: usize,
    /// A command that runs a command line on a host, as `ssh` does.
    agent: PathBuf,
}

impl Network {
    /// # Errors
    /// [`Failure::Skipped`] where the system lacks namespaces or the rights to make them.
    pub(super) fn up(hosts: usize, folder: &Path) -> Result<Self, Failure> {
        // The address's last number is that of the namespace.
        let text = format!(
            "number=${{1##*.}}; shift\nexec ip netns exec {NAME}$number unshare --uts sh -c \"hostname host$number; $*\"\n"
        );
        let agent = Lab::script(folder, "agent.sh", &text)?;
        let network = Self { hosts, agent };
        network.down();
        let skipped = |why| Failure::Skipped(format!("no network namespaces here: {why}"));
        network.set_up().map_err(skipped)?;
        Ok(network)
    }

    fn set_up(&self) -> Result<(), String> {
        let mut lines = vec![
            format!("link add {BRIDGE} type bridge"),
            format!("link set {BRIDGE} up"),
        ];
        for host in 1..=self.hosts {
            let name = format!("{NAME}{host}");
            lines.extend([
                format!("netns add {name}"),
                format!("link add {name} type veth peer name eth0 netns {name}"),
                format!("link set {name} master {BRIDGE}"),
                format!("link set {name} up"),
                format!("-n {name} addr add {SUBNET}.{host}/24 dev eth0"),
                format!("-n {name} link set eth0 up"),
                format!("-n {name} link set lo up"),
            ]);
        }
        lines.iter().try_for_each(|line| ip(line))
    }

    /// `mpirun` on the first host, with a process on each of `hosts`.
    pub(super) fn launch(&self, lab: &Lab, hosts: usize) -> Result<Command, String> {
        // A daemon is started on every host of the file.
        let hostfile = self.agent.with_file_name(format!("hosts-{hosts}"));
        let lines = (1..=hosts).map(|host| format!("{SUBNET}.{host} slots=1\n"));
        let written = fs::write(&hostfile, lines.collect::<String>());
        written.map_err(|e| format!("{}: {e}", hostfile.display()))?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{NAME}1"), "unshare", "--uts"]);
        command.args(["sh", "-c", "hostname host1; exec \"$@\"", "sh"]);
        command.arg(lab.mpirun().get_program());
        let subnet = format!("{SUBNET}.0/24");
        let agent = self.agent.display().to_string();
        command
            .args(["-n", &hosts.to_string(), "--hostfile"])
            .arg(hostfile);
        for (parameter, value) in [
            ("plm_rsh_agent", agent.as_str()),
            ("pml", "ob1"),
            ("btl", "self,tcp"),
            ("btl_tcp_if_include", &subnet),
            ("oob_tcp_if_include", &subnet),
        ] {
            command.args(["--mca", parameter, value]);
        }
        command.args(["--bind-to", "none"]).arg(&lab.program);
        lab.set_variables(&mut command);
        Ok(command)
    }

    /// Takes a host from the network.
    pub(super) fn cut(&self, host: usize) -> Result<(), String> {
        ip(&format!("link set {NAME}{host} down"))
    }

    /// Kills all that runs on the hosts.
    pub(super) fn kill_all(&self) {
        for host in 1..=self.hosts {
            let output = Command::new("ip")
                .args(["netns", "pids", &format!("{NAME}{host}")])
                .output();
            let output = output.map(|output| output.stdout).unwrap_or_default();
            for process in String::from_utf8_lossy(&output).lines() {
                send("KILL", process);
            }
        }
    }

    /// Removes what there is.
    fn down(&self) {
        self.kill_all();
        for host in 1..=self.hosts {
            let _ = ip(&format!("netns del {NAME}{host}"));
        }
        let _ = ip(&format!("link del {BRIDGE}"));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.down();
    }
}

fn ip(line: &str) -> Result<(), String> {
    let output = Command::new("ip").args(line.split(' ')).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(format!("ip {line}: {}", errors.trim()))
        }
    }
}
