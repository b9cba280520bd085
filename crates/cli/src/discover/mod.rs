//! What the program tells about itself, so that nobody has to scrape a README.

mod capabilities;
mod examples;
mod help;
mod schema;
mod skill;

pub(crate) use capabilities::capabilities;
pub(crate) use examples::{example_line, examples_list, examples_show};
pub(crate) use help::{Help, Version};
pub(crate) use schema::{schema_list, schema_show};
pub(crate) use skill::Skill;
