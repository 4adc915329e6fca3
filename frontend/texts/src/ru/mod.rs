//! Russian: вы, no exclamation marks, states agree with their noun.

#[macro_use]
mod address_scopes;
#[macro_use]
mod audit;
#[macro_use]
mod clusters;
#[macro_use]
mod errors;
#[macro_use]
mod formats;
#[macro_use]
mod holders;
#[macro_use]
mod making;
#[macro_use]
mod networks;
#[macro_use]
mod plans;
#[macro_use]
mod ports;
#[macro_use]
mod requests;
#[macro_use]
mod tables;
#[macro_use]
mod whole;
#[macro_use]
mod words;

all! { whole formats tables networks address_scopes ports clusters requests audit making plans errors words holders => language }
