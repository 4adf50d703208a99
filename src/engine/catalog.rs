//! What sessions see: layers as schemas, tables below them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::DataFusionError;

use crate::error::Result;
use crate::lake::{At, Lake};
use crate::name::{Layer, TableName};

/// A catalog of exactly these tables.
#[derive(Default)]
pub struct Tables(BTreeMap<TableName, Arc<dyn TableProvider>>);

impl Tables {
    /// Adds a table.
    pub fn add(&mut self, name: TableName, provider: Arc<dyn TableProvider>) {
        self.0.insert(name, provider);
    }

    /// The catalog.
    pub fn into_catalog(self) -> Arc<dyn CatalogProvider> {
        let mut layers = HashMap::new();
        for layer in Layer::ALL {
            let tables = self.0.iter().filter(|(name, _)| name.layer() == layer);
            let tables =
                tables.map(|(name, table)| (name.name().to_owned(), Arc::clone(table))).collect();
            layers.insert(layer.as_str(), Arc::new(FixedLayer(tables)) as Arc<dyn SchemaProvider>);
        }
        Arc::new(Layers(layers))
    }
}

/// A catalog of the tables of a lake, each opened when a query first names it, and the same from
/// then on.
pub struct LakeCatalog;

impl LakeCatalog {
    /// The catalog of `lake` as it is now, with the states of `at` where they are not the latest.
    pub async fn open(lake: &Lake, at: HashMap<TableName, At>) -> Result<Arc<dyn CatalogProvider>> {
        let tables = lake.tables().await?;
        let at = Arc::new(at);
        let layers = Layer::ALL.map(|layer| {
            let names = tables.iter().filter(|table| table.layer() == layer);
            let schema = LakeLayer {
                lake: lake.clone(),
                layer,
                names: names.map(|table| table.name().to_owned()).collect(),
                at: Arc::clone(&at),
                open: Mutex::default(),
            };
            (layer.as_str(), Arc::new(schema) as Arc<dyn SchemaProvider>)
        });
        Ok(Arc::new(Layers(layers.into_iter().collect())))
    }
}

struct Layers(HashMap<&'static str, Arc<dyn SchemaProvider>>);

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl CatalogProvider for Layers {
    fn schema_names(&self) -> Vec<String> {
        Layer::ALL.iter().map(ToString::to_string).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        self.0.get(name).cloned()
    }
}

struct FixedLayer(HashMap<String, Arc<dyn TableProvider>>);

impl fmt::Debug for FixedLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

#[async_trait]
impl SchemaProvider for FixedLayer {
    fn table_names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(self.0.get(name).cloned())
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

struct LakeLayer {
    lake: Lake,
    layer: Layer,
    names: Vec<String>,
    at: Arc<HashMap<TableName, At>>,
    /// The tables that were named before.
    open: Mutex<HashMap<TableName, Arc<dyn TableProvider>>>,
}

impl LakeLayer {
    fn opened(&self) -> MutexGuard<'_, HashMap<TableName, Arc<dyn TableProvider>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LakeLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeLayer")
            .field("layer", &self.layer)
            .field("tables", &self.names)
            .finish()
    }
}

#[async_trait]
impl SchemaProvider for LakeLayer {
    fn table_names(&self) -> Vec<String> {
        self.names.clone()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let Ok(table) = TableName::new(self.layer, name) else { return Ok(None) };
        if let Some(provider) = self.opened().get(&table) {
            return Ok(Some(Arc::clone(provider)));
        }
        let at = self.at.get(&table).copied().unwrap_or_default();
        let snapshot = self.lake.snapshot_at(&table, at).await;
        let provider = snapshot
            .and_then(|snapshot| snapshot.map(|snapshot| snapshot.view_provider()).transpose())
            .map_err(|e| DataFusionError::External(Box::new(e)))?;
        Ok(provider.inspect(|provider| drop(self.opened().insert(table, Arc::clone(provider)))))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }
}
