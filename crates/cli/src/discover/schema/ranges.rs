//! Ranges of whole numbers that are those of their types.

use schemars::Schema;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::Value;

/// Says of every whole number how small and how large it may be. What a field says by itself holds;
/// otherwise it is what the decoding type can hold, which `format` names.
#[derive(Clone, Debug)]
pub(super) struct TypeRanges;

impl Transform for TypeRanges {
    fn transform(&mut self, schema: &mut Schema) {
        let range: Option<(Value, Value)> = match schema.get("format").and_then(Value::as_str) {
            Some("uint16") => Some((u16::MIN.into(), u16::MAX.into())),
            Some("uint32") => Some((u32::MIN.into(), u32::MAX.into())),
            Some("uint64") => Some((u64::MIN.into(), u64::MAX.into())),
            Some("uint") => Some((usize::MIN.into(), usize::MAX.into())),
            Some("int32") => Some((i32::MIN.into(), i32::MAX.into())),
            _ => None,
        };
        if let (Some((least, most)), Some(fields)) = (range, schema.as_object_mut()) {
            fields.entry("minimum").or_insert(least);
            fields.entry("maximum").or_insert(most);
        }
        transform_subschemas(self, schema);
    }
}
