//! Explanations for programs.

use ehlo_codes::explain::Remark;
use ehlo_codes::{Explanation, Stage};
use serde_json::{Map, Value, json};

use super::item::{Item, Names, What};

/// An object for one item, a list for several.
pub(super) fn items(items: &[Item<'_>], after: Option<Stage>) -> String {
    let mut values: Vec<Value> = items.iter().map(|item| value(item, after)).collect();
    match values.len() {
        1 => pretty(&values.remove(0)),
        _ => pretty(&Value::Array(values)),
    }
}

pub(super) fn pretty(value: &Value) -> String {
    // The alternate form is indented, and a Value can always be written.
    format!("{value:#}\n")
}

fn value(item: &Item<'_>, after: Option<Stage>) -> Value {
    let mut object = Map::new();
    object.insert("input".into(), json!(String::from_utf8_lossy(item.input)));
    match &item.what {
        What::Reply(about) => reply(&mut object, about, after),
        What::Name(names) => name(&mut object, names),
    }
    Value::Object(object)
}

fn reply(object: &mut Map<String, Value>, about: &Explanation<'_>, after: Option<Stage>) {
    object.insert("kind".into(), json!("reply"));
    object.insert("reply".into(), basic(about));
    object.insert("enhanced".into(), enhanced(about));
    object.insert("text".into(), json!(String::from_utf8_lossy(about.text())));
    object.insert("verdict".into(), json!(about.verdict()));
    object.insert("retry".into(), json!(about.verdict().retry()));
    object.insert("meaning".into(), json!(about.meaning_at(after)));
    object.insert("advice".into(), json!(about.advice()));
    object.insert("mismatch".into(), json!(about.remarks().any(|remark| matches!(remark, Remark::Mismatch(..)))));
    let remarks: Vec<Value> = about.remarks().map(remark).collect();
    object.insert("remarks".into(), Value::Array(remarks));
    object.insert("providers".into(), json!(about.vendors().collect::<Vec<_>>()));
    if let (Some(stage), Some(code)) = (after, about.reply()) {
        let line = Some(about.text()).filter(|text| !text.is_empty());
        let faults = stage.check(code, about.enhanced(), line).err().unwrap_or_default();
        let list: Vec<Value> = faults
            .iter()
            .map(|fault| json!({ "fault": fault, "violation": fault.is_violation(), "reference": fault.reference() }))
            .collect();
        object.insert("after".into(), json!({ "stage": stage, "legal": faults.is_empty(), "faults": list }));
    }
}

fn remark(remark: Remark) -> Value {
    json!({ "text": remark.to_string(), "violation": remark.is_violation(), "reference": remark.reference() })
}

fn basic(about: &Explanation<'_>) -> Value {
    let Some(code) = about.reply() else { return Value::Null };
    let digits: Vec<Value> = about
        .digits()
        .into_iter()
        .flat_map(|digits| digits.iter())
        .map(|digit| json!({ "digit": digit.value, "meaning": digit.meaning, "defined": digit.defined }))
        .collect();
    let stages: Vec<Value> = about
        .stages()
        .map(|(stage, reply)| json!({ "stage": stage, "text": reply.text, "reference": reply.reference }))
        .collect();
    json!({
        "code": code,
        "class": code.class(),
        "registered": about.reply_info().is_some(),
        "digits": digits,
        "info": about.reply_info(),
        "stages": stages,
        "any_command": about.any_command(),
    })
}

fn enhanced(about: &Explanation<'_>) -> Value {
    let Some(status) = about.status() else { return Value::Null };
    json!({
        "code": about.enhanced().map_or_else(|| status.to_string(), |code| code.to_string()),
        "registered": about.enhanced_info().is_some(),
        "class": about.class_info(),
        "subject": about.subject_info(),
        "info": about.enhanced_info(),
    })
}

fn name(object: &mut Map<String, Value>, names: &Names) {
    object.insert("kind".into(), json!("name"));
    if let Some(stage) = names.stage {
        let command = if let Stage::Verb(verb) = stage { json!(verb.info()) } else { Value::Null };
        object.insert("command".into(), command);
        object.insert("replies".into(), json!(stage.replies()));
        let shared: &[_] = if stage.is_command() { Stage::EVERY_COMMAND } else { &[] };
        object.insert("replies_of_any_command".into(), json!(shared));
    }
    if let Some(extension) = names.extension {
        object.insert("extension".into(), json!(extension));
        object.insert("extension_parameters".into(), json!(extension.parameters().collect::<Vec<_>>()));
    }
    if !names.parameters.is_empty() {
        object.insert("parameters".into(), json!(names.parameters));
    }
    if let Some(mechanism) = names.mechanism {
        object.insert("mechanism".into(), json!(mechanism));
    }
    if let Some(with) = names.with {
        object.insert("with".into(), json!(with));
    }
}
