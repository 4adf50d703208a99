//! JSON in SQL: the functions of `datafusion-functions-json`, and operators as PostgreSQL has them.
//!
//! `->` gives a part of a JSON text as JSON, `->>` as text (a text without its quotes, JSON's null as
//! NULL); `#>` and `#>>` take a path. A part that is cast is read as text first, so that
//! `(event -> 'price')::DOUBLE` is a number. SQL reads `event ->> 'type' = 'click'` as
//! `event ->> ('type' = 'click')`, where it means nothing: the comparison is of the part.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::execution::FunctionRegistry as _;
use datafusion::logical_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator, ScalarUDF};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use datafusion_functions_json::{JSON_UNION_DATA_TYPE, register_all, udfs};

/// Makes functions and operators known to a session. Ours come first, and win.
pub(super) fn register(context: &SessionContext) -> Result<()> {
    let state = context.state_ref();
    let mut state = state.write();
    state.register_expr_planner(Arc::new(Operators))?;
    state.register_function_rewrite(Arc::new(CastsOfParts))?;
    register_all(&mut *state)
}

/// `plan` whose columns can be stored and printed: `json_get` gives a union of all that JSON has, which
/// no table holds, and becomes JSON again.
pub(in crate::engine) fn without_unions(plan: LogicalPlan) -> Result<LogicalPlan> {
    let is_union = |data_type: &DataType| *JSON_UNION_DATA_TYPE == *data_type;
    if !plan.schema().fields().iter().any(|field| is_union(field.data_type())) {
        return Ok(plan);
    }
    let columns = plan.schema().iter().map(|(qualifier, field)| {
        let column = Expr::from((qualifier, field));
        if is_union(field.data_type()) {
            call(&udfs::json_union_to_text_udf(), vec![column]).alias(field.name())
        } else {
            column
        }
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

fn call(function: &Arc<ScalarUDF>, arguments: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), arguments))
}

#[derive(Debug)]
struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let is_text = match expression.op {
            BinaryOperator::Arrow | BinaryOperator::HashArrow => false,
            BinaryOperator::LongArrow | BinaryOperator::HashLongArrow => true,
            _ => return Ok(PlannerResult::Original(expression)),
        };
        let RawBinaryExpr { op, left, mut right } = expression;
        let operator = Part { sign: op.to_string(), is_text };
        let planned = match first_operand(&mut right) {
            Some(place) => {
                *place = operator.of(left, std::mem::take(place))?;
                right
            }
            None => operator.of(left, right)?,
        };
        Ok(PlannerResult::Planned(planned))
    }
}

/// An operator that takes a part of a JSON text.
struct Part {
    sign: String,
    is_text: bool,
}

impl Part {
    /// The part of `json` at `path`.
    fn of(&self, mut json: Expr, path: Expr) -> Result<Expr> {
        if let Some(place) = last_operand(&mut json) {
            *place = self.of(std::mem::take(place), path)?;
            return Ok(json);
        }
        let sign = &self.sign;
        if matches!(json, Expr::BinaryExpr(_)) || matches!(path, Expr::BinaryExpr(_)) {
            return plan_err!(
                "`{sign}` binds weaker than other operators: put what is meant into brackets, as in \
                 `(event {sign} 'a') || 'b'`, or call json_as_text(event, 'a' || 'b')"
            );
        }
        let name = format!("{} {sign} {}", shown(&json), shown(&path));
        let function =
            if self.is_text { udfs::json_as_text_udf() } else { udfs::json_get_json_udf() };
        Ok(call(&function, path_of(json, path)).alias(name))
    }
}

/// The arguments for the part of `json` at `path`: of a part of a part, the way from the whole.
fn path_of(json: Expr, path: Expr) -> Vec<Expr> {
    let is_step = |expression: &Expr| {
        matches!(
            expression,
            Expr::Literal(ScalarValue::Utf8(Some(_)) | ScalarValue::Int64(Some(_)), _)
        )
    };
    match part(&json) {
        Some(arguments) if is_step(&path) && arguments.iter().skip(1).all(is_step) => {
            arguments.iter().cloned().chain([path]).collect()
        }
        _ => vec![json, path],
    }
}

/// The arguments of the call that takes a part of a JSON text as JSON, if `expression` is one.
fn part(expression: &Expr) -> Option<&[Expr]> {
    match expression {
        Expr::Alias(alias) => part(&alias.expr),
        Expr::ScalarFunction(call) if call.func.name() == "json_get_json" => {
            Some(call.args.as_slice())
        }
        _ => None,
    }
}

/// How an operand stands in the name of a column.
fn shown(expression: &Expr) -> String {
    match expression {
        Expr::Column(column) => column.name.clone(),
        Expr::Alias(alias) => alias.name.clone(),
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => format!("'{text}'"),
        Expr::Literal(value, _) => value.to_string(),
        other => other.schema_name().to_string(),
    }
}

/// What a condition is about: its first operand.
fn first_operand(condition: &mut Expr) -> Option<&mut Expr> {
    match condition {
        Expr::BinaryExpr(binary) if compares(binary.op) => Some(&mut *binary.left),
        Expr::Like(like) | Expr::SimilarTo(like) => Some(&mut *like.expr),
        Expr::InList(list) => Some(&mut *list.expr),
        Expr::InSubquery(rows) => Some(&mut *rows.expr),
        Expr::Between(between) => Some(&mut *between.expr),
        Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsNotUnknown(inner) => Some(&mut **inner),
        _ => None,
    }
}

/// The operand that a condition ends with.
fn last_operand(condition: &mut Expr) -> Option<&mut Expr> {
    match condition {
        Expr::BinaryExpr(binary) if compares(binary.op) => Some(&mut *binary.right),
        Expr::Like(like) | Expr::SimilarTo(like) => Some(&mut *like.pattern),
        _ => None,
    }
}

fn compares(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
            | Operator::RegexMatch
            | Operator::RegexIMatch
            | Operator::RegexNotMatch
            | Operator::RegexNotIMatch
    )
}

/// Casts a part from its text and not from its JSON, which has quotes, and `null` for nothing.
#[derive(Debug)]
struct CastsOfParts;

impl FunctionRewrite for CastsOfParts {
    fn name(&self) -> &str {
        "casts_of_parts"
    }

    fn rewrite(
        &self,
        expression: Expr,
        _schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        Ok(match expression {
            Expr::Cast(Cast { expr, field }) => {
                as_text(expr).update_data(|expr| Expr::Cast(Cast { expr, field }))
            }
            Expr::TryCast(TryCast { expr, field }) => {
                as_text(expr).update_data(|expr| Expr::TryCast(TryCast { expr, field }))
            }
            other => Transformed::no(other),
        })
    }
}

fn as_text(expression: Box<Expr>) -> Transformed<Box<Expr>> {
    match part(&expression).map(<[Expr]>::to_vec) {
        Some(arguments) => Transformed::yes(Box::new(call(&udfs::json_as_text_udf(), arguments))),
        None => Transformed::no(expression),
    }
}
