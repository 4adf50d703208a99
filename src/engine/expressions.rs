//! What is called in a plan: found by walking its expressions, whatever the functions are named.

use std::collections::BTreeSet;

use datafusion::DATAFUSION_VERSION;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility, WindowFunctionDefinition};

use super::function::version;

/// The longest constant: written out for every row of a batch, texts of a table overflow beyond it.
const LONGEST_CONSTANT: usize = (i32::MAX / 8192) as usize;

/// Functions that a plan or an expression calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    names: BTreeSet<String>,
    unrepeatable: BTreeSet<Vec<String>>,
}

impl Calls {
    /// Those of `plan`, its subqueries included. What is folded into constants is not found any more,
    /// so `plan` is one that is not optimised.
    pub(super) fn of_plan(plan: &LogicalPlan) -> Result<Self> {
        let mut calls = Self::default();
        each_expression(plan, |expression| calls.add(expression))?;
        Ok(calls)
    }

    /// Those of one expression.
    pub(super) fn of_expression(expression: &Expr) -> Result<Self> {
        let mut calls = Self::default();
        expression.apply(|expression| {
            calls.add(expression);
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(calls)
    }

    fn add(&mut self, expression: &Expr) {
        let (name, aliases, volatility) = match expression {
            Expr::ScalarFunction(call) => {
                (call.func.name(), call.func.aliases(), call.func.signature().volatility)
            }
            Expr::HigherOrderFunction(call) => {
                (call.func.name(), call.func.aliases(), call.func.signature().volatility)
            }
            Expr::AggregateFunction(call) => {
                (call.func.name(), call.func.aliases(), call.func.signature().volatility)
            }
            Expr::WindowFunction(call) => match &call.fun {
                WindowFunctionDefinition::AggregateUDF(function) => {
                    (function.name(), function.aliases(), function.signature().volatility)
                }
                WindowFunctionDefinition::WindowUDF(function) => {
                    (function.name(), function.aliases(), function.signature().volatility)
                }
            },
            _ => return,
        };
        if volatility != Volatility::Immutable {
            let names = std::iter::once(name.to_owned()).chain(aliases.iter().cloned());
            self.unrepeatable.insert(names.collect());
        }
        self.names.insert(name.to_owned());
    }

    /// Functions whose results differ from run to run, each with the other names that it goes by.
    pub(super) fn unrepeatable(&self) -> impl Iterator<Item = &[String]> {
        self.unrepeatable.iter().map(Vec::as_slice)
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.names.extend(other.names);
        self.unrepeatable.extend(other.unrepeatable);
    }

    /// What the results of the same SQL over the same rows depend on: the version of the engine, and
    /// those of our functions that are called.
    pub(super) fn semantics(&self) -> String {
        let own = self.names.iter().filter_map(|name| Some(format!(", {name} {}", version(name)?)));
        std::iter::once(format!("datafusion {DATAFUSION_VERSION}")).chain(own).collect()
    }
}

/// Calls `visit` for each expression of `plan` and its subqueries.
fn each_expression(plan: &LogicalPlan, mut visit: impl FnMut(&Expr)) -> Result<()> {
    plan.apply_with_subqueries(|plan| {
        plan.apply_expressions(|expression| {
            expression.apply(|expression| {
                visit(expression);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// The bytes of the longest text in `plan` that is the same for every row, if they are too many.
pub(super) fn too_long_constant(plan: &LogicalPlan) -> Result<Option<usize>> {
    let mut longest = 0;
    each_expression(plan, |expression| {
        if let Expr::Literal(value, _) = expression {
            longest = longest.max(value.size());
        }
    })?;
    Ok(Some(longest).filter(|longest| *longest > LONGEST_CONSTANT))
}
