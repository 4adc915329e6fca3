//! A place for other people's daemons: a host's network, and files and processes of their own.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// What stands at the end of what a script prints.
const END: &str = "__end__";

/// How long a script may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Begins every place: nothing that is written is seen outside, and what runs finds the folders and the bus that it needs.
/// The MAC of a host's link is the hardware's, so udev must not draw another one.
const PREPARE: &str = "
exec 2>&1
mount -t tmpfs tmpfs /run
for folder in etc var; do
  mkdir -p /run/over/$folder/up /run/over/$folder/work
  mount -t overlay overlay -o lowerdir=/$folder,upperdir=/run/over/$folder/up,workdir=/run/over/$folder/work /$folder
done
mkdir -p /run/dbus /run/udev /run/lock /run/systemd/network
printf '[Match]\\nOriginalName=*\\n[Link]\\nMACAddressPolicy=none\\n' > /run/systemd/network/00-mac.link
dbus-daemon --system --fork
/lib/systemd/systemd-udevd --daemon
udevadm trigger --subsystem-match=net --action=add
udevadm settle
";

/// A shell in such a place. Whatever it has started ends with it.
pub(super) struct Sandbox {
    shell: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

impl Sandbox {
    /// One on the host with this network namespace.
    pub(super) fn on(namespace: &str) -> Self {
        let mut shell = Command::new("ip")
            .args([
                "netns",
                "exec",
                namespace,
                "unshare",
                "--mount",
                "--propagation",
                "private",
            ])
            .args(["--pid", "--fork", "--kill-child", "--mount-proc", "bash"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, output) = channel();
        let lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let mut sandbox = Self {
            input: shell.stdin.take().unwrap(),
            shell,
            output,
        };
        sandbox.run(PREPARE);
        sandbox
    }

    /// Runs a script to its end and gives what it printed.
    pub(super) fn run(&mut self, script: &str) -> String {
        writeln!(self.input, "{script}\necho {END}").unwrap();
        let mut said = String::new();
        loop {
            match self.output.recv_timeout(PATIENCE) {
                Ok(line) if line == END => return said,
                Ok(line) => {
                    said.push_str(&line);
                    said.push('\n');
                }
                Err(RecvTimeoutError::Timeout) => panic!("no end of\n{script}\nwhich said\n{said}"),
                Err(RecvTimeoutError::Disconnected) => panic!("the shell has ended in\n{script}\nwhich said\n{said}"),
            }
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
