//! English, and with it the keys: short in tables, whole sentences under fields.

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

all! { whole formats tables networks ports clusters errors => keys }
