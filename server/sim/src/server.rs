//! A control plane that can be killed at any moment.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portolan_control::control::{Control, OpenOptions};
use portolan_control::machine::Sources;
use portolan_control::nodes::{Endpoint, Listen, Options, Tokens};
use portolan_control::writer::WriterLoop;
use portolan_shared::ids::SubnetId;
use portolan_sources::testing::{MemoryFiles, OnTheSpot};
use portolan_sources::{Files as _, Random as _, Workers};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::database::Database;
use crate::dice::Dice;
use crate::network::Network;
use crate::time::MachineClock;

/// Where hosts find the control plane, whichever of the replicas answers.
pub const ENDPOINT: &str = "10.9.0.1:7443";

/// How often the writer looks whether anybody wants something of it.
const TURN: Duration = Duration::from_millis(25);

/// How many turns of the writer it takes until its pools are counted.
const COUNTED: u32 = 400;

/// A subnet, how many addresses or blocks are free in the writer's pool, and how many by its view.
type Miscounted = Arc<Mutex<Option<(SubnetId, u128, u128)>>>;

/// What the replicas share.
#[derive(Clone)]
pub struct Cloud {
    /// The database.
    pub database: Database,
    /// Where the CA's key is.
    pub files: MemoryFiles,
    /// The way to the hosts.
    pub network: Network,
    /// The clock of all replicas.
    pub clock: MachineClock,
    /// For what a replica draws.
    pub dice: Dice,
}

impl Cloud {
    /// With an empty database.
    pub fn new(network: Network, clock: MachineClock, dice: Dice) -> Self {
        let files = MemoryFiles::default();
        // A disk in memory makes any folder.
        let _ = files.make_folder(Path::new("/cloud"));
        Self {
            database: Database::default(),
            files,
            network,
            clock,
            dice,
        }
    }
}

/// A control plane's process.
pub struct Server {
    /// Its core.
    pub control: Control,
    /// Makes join tokens.
    pub tokens: Tokens,
    /// Where its pools and its view do not agree.
    pub miscounted: Miscounted,
    number: usize,
    network: Network,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts the replica with this number.
    ///
    /// # Errors
    /// If the database does not answer, or the CA's files cannot be used.
    pub fn start(number: usize, cloud: &Cloud) -> Result<Self, String> {
        let address = SocketAddr::from(([10, 9, 0, 1], 7443));
        let random = Arc::new(cloud.dice.randomness());
        let mut store_id = [0; 16];
        random.fill(&mut store_id);
        let sources = Sources {
            clock: Arc::new(cloud.clock.clone()),
            stopwatch: Arc::new(cloud.clock.clone()),
            random,
            files: Arc::new(cloud.files.clone()),
            net: cloud.network.of_server(number, address),
            workers: Workers::new(OnTheSpot),
            threads: Arc::new(OnTheSpot),
            cores: 1,
        };
        let options = OpenOptions::new("in memory", sources.clone());
        let store = cloud.database.connect(store_id);
        let (control, writer) = Control::without_thread(store, options).map_err(|error| error.to_string())?;
        let options = Options {
            listen: Listen::Address(address),
            advertise: ENDPOINT.to_owned(),
            ca_key: "/cloud/ca.key".into(),
            first: Vec::new(),
        };
        let endpoint = Endpoint::open(control.clone(), &options, &sources).map_err(|error| error.to_string())?;
        let tokens = endpoint.tokens();
        let serving = tokio::spawn(async move {
            let _ = endpoint.serve(std::future::pending()).await;
        });
        let miscounted = Miscounted::default();
        Ok(Self {
            control,
            tokens,
            miscounted: Arc::clone(&miscounted),
            number,
            network: cloud.network.clone(),
            tasks: vec![tokio::spawn(write(writer, miscounted)), serving],
        })
    }

    /// kill -9.
    pub async fn kill(self) {
        for task in self.tasks {
            task.abort();
            // It ends as soon as it is polled.
            let _ = task.await;
        }
        self.network.take_down(self.number);
    }
}

async fn write(mut writer: WriterLoop, miscounted: Miscounted) {
    let mut turns: u32 = 0;
    while writer.turn(Duration::ZERO) {
        turns = turns.wrapping_add(1);
        if turns.is_multiple_of(COUNTED)
            && let Some(wrong) = writer.writer().miscounted()
        {
            *miscounted.lock() = Some(wrong);
        }
        sleep(TURN).await;
    }
}
