//! Pods: a namespace, a CNI call and a program each, as a container runtime would have it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::hosts::{Host, Hosts};
use super::{END_WITHIN, LabError, at};
use crate::children::Running;
use crate::cni::{Plugin, Sandbox};
use crate::names::is_label;
use crate::plan::HostKey;
use crate::wait::until;
use crate::{echo, ip, protocol, topology};

/// How long a pod's program may take until it answers.
const ECHO_WITHIN: Duration = Duration::from_secs(10);

/// A pod that runs.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) host: HostKey,
    pub(super) sandbox: Sandbox,
    pub(super) address: IpAddr,
    pub(super) echo: Running,
}

impl Pod {
    /// Ends its program and removes its sandbox.
    pub(super) fn end(mut self, deadline: Instant) -> Result<(), LabError> {
        self.echo.signal(Signal::KILL);
        self.echo.finish(deadline);
        let namespace = self.sandbox.namespace;
        namespace.remove().map_err(at(namespace.name()))
    }

    /// As the lab's answers show it.
    pub(super) fn report(&self) -> protocol::Pod {
        protocol::Pod {
            name: self.sandbox.pod.clone(),
            cluster: self.host.cluster.to_string(),
            host: self.host.name.clone(),
            namespace: self.sandbox.namespace.name().to_owned(),
            address: self.address,
            echo: SocketAddr::new(self.address, echo::PORT),
        }
    }
}

impl Hosts {
    fn plugin<'a>(&'a self, host: &'a Host) -> Plugin<'a> {
        Plugin {
            program: &self.binaries.cni,
            host: &host.namespace,
            socket: &host.socket,
        }
    }

    /// Makes a sandbox, has it networked by the plugin, and starts its program.
    pub(super) fn pod_add(&mut self, host: usize, name: &str) -> Result<(), LabError> {
        if !is_label(name) {
            return Err(LabError::Request(format!(
                "{name:?} cannot name a pod: a-z, 0-9 and dashes, at most 40"
            )));
        }
        if self.pods.iter().any(|pod| pod.sandbox.pod == name) {
            return Err(LabError::Request(format!("there is a pod {name} already")));
        }
        self.sandboxes += 1;
        let (lab, number) = (&self.lab, self.sandboxes);
        let namespace = lab.pod(name);
        let sandbox = Sandbox {
            container_id: format!("{lab}-{name}-{number}"),
            namespace: namespace.clone(),
            pod: name.to_owned(),
        };
        ip::batch(None, &[topology::namespace(&namespace)])?;
        match self.fill(host, &sandbox) {
            Ok((address, echo)) => {
                self.pods.push(Pod {
                    host: self.all[host].key.clone(),
                    sandbox,
                    address,
                    echo,
                });
                Ok(())
            }
            Err(error) => {
                // As a runtime does after a failed ADD. The first error is the one to tell.
                let _ = self.plugin(&self.all[host]).del(&sandbox);
                let _ = namespace.remove();
                Err(error)
            }
        }
    }

    /// Gives a new sandbox its network and its program.
    fn fill(&self, host: usize, sandbox: &Sandbox) -> Result<(IpAddr, Running), LabError> {
        let namespace = &sandbox.namespace;
        ip::batch(Some(namespace), &["link set lo up".into()])?;
        let address = self.plugin(&self.all[host]).add(sandbox)?;
        let mut command = Command::new(&self.binaries.lab);
        command.args(["echo", "--name", &sandbox.pod]);
        let log = self.logs.join(format!("pod-{}.log", sandbox.pod));
        let mut echo = Running::start(&format!("pod {}", sandbox.pod), command, Some(namespace), log)?;
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, echo::PORT));
        let answers = until(ECHO_WITHIN, || {
            echo.alive()?;
            let asked = namespace
                .within(|| echo::ask(here, ECHO_WITHIN))
                .map_err(at(namespace.name()))?;
            Ok::<_, LabError>(asked.ok())
        })?;
        if answers.is_none() {
            return Err(echo.late("answer", ECHO_WITHIN).into());
        }
        Ok((address, echo))
    }

    /// Takes a pod away as a runtime does: the plugin first, then program and sandbox. It must be on that host, if one is
    /// given.
    pub(super) fn pod_del(&mut self, host: Option<usize>, name: &str) -> Result<(), LabError> {
        let found = self.pods.iter().position(|pod| pod.sandbox.pod == name);
        let index = found.ok_or_else(|| LabError::Request(format!("there is no pod {name}")))?;
        let pod = &self.pods[index];
        let on = self.find(&pod.host);
        if host.is_some() && host != on {
            return Err(LabError::Request(format!("pod {name} is on {}", pod.host.name)));
        }
        if let Some(on) = on {
            self.plugin(&self.all[on]).del(&pod.sandbox)?;
        }
        self.pods.remove(index).end(Instant::now() + END_WITHIN)
    }
}
