// Cosmos DB: a container for Entrada, as docs/storage.md describes it, and one for the sample.
param token string
param location string
param tags object
param entradaPrincipalId string
param expensesPrincipalId string

@description('Whether the account answers on the internet, to whoever has a token of Entra ID with a role.')
param publicAccess bool

// Cosmos DB Built-in Data Contributor.
var dataContributor = '00000000-0000-0000-0000-000000000002'

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-04-15' = {
  name: 'cosmos-${token}'
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    capabilities: [
      {
        name: 'EnableServerless'
      }
    ]
    // Entrada reads by quorum whatever this says, and refuses an account that writes in several regions.
    consistencyPolicy: {
      defaultConsistencyLevel: 'Session'
    }
    enableMultipleWriteLocations: false
    locations: [
      {
        locationName: location
        failoverPriority: 0
        isZoneRedundant: false
      }
    ]
    backupPolicy: {
      type: 'Continuous'
      continuousModeProperties: {
        tier: 'Continuous7Days'
      }
    }
    // There is no key to leak: tokens of Entra ID alone.
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: publicAccess ? 'Enabled' : 'Disabled'
  }
}

resource entradaDatabase 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2025-04-15' = {
  parent: account
  name: 'entrada'
  properties: {
    resource: {
      id: 'entrada'
    }
  }
}

resource grants 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2025-04-15' = {
  parent: entradaDatabase
  name: 'grants'
  properties: {
    resource: {
      id: 'grants'
      partitionKey: {
        kind: 'Hash'
        paths: [
          '/pk'
        ]
        version: 2
      }
      // On, no default: each document says for itself.
      defaultTtl: -1
      indexingPolicy: {
        automatic: true
        indexingMode: 'consistent'
        includedPaths: [
          {
            path: '/pk/?'
          }
          {
            path: '/exp/?'
          }
        ]
        excludedPaths: [
          {
            path: '/*'
          }
        ]
        compositeIndexes: [
          [
            {
              path: '/pk'
              order: 'ascending'
            }
            {
              path: '/id'
              order: 'ascending'
            }
          ]
        ]
      }
    }
  }
}

resource expensesDatabase 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2025-04-15' = {
  parent: account
  name: 'expenses'
  properties: {
    resource: {
      id: 'expenses'
    }
  }
}

resource expenses 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2025-04-15' = {
  parent: expensesDatabase
  name: 'expenses'
  properties: {
    resource: {
      id: 'expenses'
      // The person: tid:oid.
      partitionKey: {
        kind: 'Hash'
        paths: [
          '/sub'
        ]
        version: 2
      }
    }
  }
}

resource entradaRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-04-15' = {
  parent: account
  name: guid(account.id, entradaPrincipalId, 'grants')
  properties: {
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/${dataContributor}'
    principalId: entradaPrincipalId
    scope: '${account.id}/dbs/${entradaDatabase.name}/colls/${grants.name}'
  }
}

resource expensesRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-04-15' = {
  parent: account
  name: guid(account.id, expensesPrincipalId, 'expenses')
  properties: {
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/${dataContributor}'
    principalId: expensesPrincipalId
    scope: '${account.id}/dbs/${expensesDatabase.name}/colls/${expenses.name}'
  }
}

output accountId string = account.id
output endpoint string = account.properties.documentEndpoint
output entradaDatabase string = entradaDatabase.name
output entradaContainer string = grants.name
output expensesDatabase string = expensesDatabase.name
output expensesContainer string = expenses.name
