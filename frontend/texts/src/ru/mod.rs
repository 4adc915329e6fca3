//! Russian: вы, no exclamation marks, states agree with their noun.

#[macro_use]
mod clusters;
#[macro_use]
mod errors;
#[macro_use]
mod formats;
#[macro_use]
mod networks;
#[macro_use]
mod ports;
#[macro_use]
mod tables;
#[macro_use]
mod whole;

all! { whole formats tables networks ports clusters errors => language }
