// Everything but the two container apps, which azd deploys after their images: entrada.bicep, expenses.bicep.
targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('The name of the azd environment. Names of resources are made from it.')
param environmentName string

@minLength(1)
@description('The region of all resources.')
param location string

@description('Whether Cosmos DB and Key Vault are reached by private endpoints alone. It cannot be changed afterwards.')
param useVnet bool = false

@description('The client id of an app registration of your own. Nothing is made in Entra ID then.')
param entraClientId string = ''

@description('The scope that your own registration exposes, in full. Empty: {client id}/mcp.access.')
param entraScope string = ''

@allowed([
  'AzureADMyOrg'
  'AzureADMultipleOrgs'
])
@description('Who may sign in: people of this tenant, or of the tenants that allowedTenants names.')
param signInAudience string = 'AzureADMyOrg'

@description('GUIDs of tenants, separated by commas, for AzureADMultipleOrgs. Empty: this tenant alone.')
param allowedTenants string = ''

@allowed([
  'deny'
  'allow'
])
@description('Whether guests of a tenant may sign in.')
param guests string = 'deny'

@minValue(0)
@maxValue(5)
@description('How many replicas of Entrada there are at the least. With 0 whoever comes first waits for one to start.')
param minReplicas int = 1

var token = uniqueString(subscription().id, environmentName, location)
var tags = {
  'azd-env-name': environmentName
}
var entradaName = 'ca-entrada-${token}'
var expensesName = 'ca-expenses-${token}'
var ownRegistration = !empty(entraClientId)
var multipleTenants = signInAudience == 'AzureADMultipleOrgs'
var publicUrl = 'https://${entradaName}.${platform.outputs.defaultDomain}'
// Ends in the path that src/protocol/metadata.rs serves.
var redirectUri = '${publicUrl}/auth/callback'
var mcpUrl = '${publicUrl}/mcp'

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identities 'modules/identities.bicep' = {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
  }
}

module network 'modules/network.bicep' = if (useVnet) {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
  }
}

module platform 'modules/platform.bicep' = {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    pullPrincipalId: identities.outputs.pullPrincipalId
    subnetId: useVnet ? network!.outputs.appsSubnetId : ''
  }
}

module data 'modules/data.bicep' = {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    entradaPrincipalId: identities.outputs.entradaPrincipalId
    expensesPrincipalId: identities.outputs.expensesPrincipalId
    publicAccess: !useVnet
  }
}

module vault 'modules/vault.bicep' = {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    entradaPrincipalId: identities.outputs.entradaPrincipalId
    workspaceId: platform.outputs.workspaceId
    publicAccess: !useVnet
  }
}

module dataEndpoint 'modules/private-endpoint.bicep' = if (useVnet) {
  scope: group
  params: {
    name: 'pe-cosmos-${token}'
    location: location
    tags: tags
    vnetId: network!.outputs.vnetId
    subnetId: network!.outputs.endpointsSubnetId
    resourceId: data.outputs.accountId
    groupId: 'Sql'
    zoneName: 'privatelink.documents.azure.com'
  }
}

module vaultEndpoint 'modules/private-endpoint.bicep' = if (useVnet) {
  scope: group
  params: {
    name: 'pe-vault-${token}'
    location: location
    tags: tags
    vnetId: network!.outputs.vnetId
    subnetId: network!.outputs.endpointsSubnetId
    resourceId: vault.outputs.vaultId
    groupId: 'vault'
    zoneName: 'privatelink.vaultcore.azure.net'
  }
}

module entra 'modules/entra.bicep' = if (!ownRegistration) {
  scope: group
  params: {
    // azure.yaml removes the registration by this name, which it makes from the same two values.
    uniqueName: 'entrada-${subscription().subscriptionId}-${environmentName}'
    displayName: 'Entrada (${environmentName})'
    redirectUri: redirectUri
    signInAudience: signInAudience
    principalId: identities.outputs.entradaPrincipalId
  }
}

var ownScope = empty(entraScope) ? '${entraClientId}/mcp.access' : entraScope

// No output has the name of an option in main.parameters.json: azd writes outputs to where it reads options from.
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = platform.outputs.registryEndpoint
output AZURE_CONTAINER_APPS_ENVIRONMENT_ID string = platform.outputs.environmentId
output PULL_IDENTITY_ID string = identities.outputs.pullId

output ENTRADA_APP_NAME string = entradaName
output ENTRADA_PUBLIC_URL string = publicUrl
output ENTRADA_IDENTITY_ID string = identities.outputs.entradaId
output ENTRADA_IDENTITY_CLIENT_ID string = identities.outputs.entradaClientId
output ENTRADA_TENANT string = multipleTenants ? 'organizations' : tenant().tenantId
output ENTRADA_TENANTS string = !multipleTenants ? '' : (empty(allowedTenants) ? tenant().tenantId : allowedTenants)
output ENTRADA_GUESTS string = guests
output ENTRADA_MIN_REPLICAS string = string(minReplicas)
output ENTRADA_CLIENT_ID string = ownRegistration ? entraClientId : entra!.outputs.clientId
output ENTRADA_SCOPE string = ownRegistration ? ownScope : entra!.outputs.scope
output ENTRADA_COSMOS_ENDPOINT string = data.outputs.endpoint
output ENTRADA_COSMOS_DATABASE string = data.outputs.entradaDatabase
output ENTRADA_COSMOS_CONTAINER string = data.outputs.entradaContainer
output ENTRADA_VAULT string = vault.outputs.vaultUrl

output EXPENSES_APP_NAME string = expensesName
output EXPENSES_URL string = 'https://${expensesName}.internal.${platform.outputs.defaultDomain}/mcp'
output EXPENSES_IDENTITY_ID string = identities.outputs.expensesId
output EXPENSES_IDENTITY_CLIENT_ID string = identities.outputs.expensesClientId
output EXPENSES_COSMOS_DATABASE string = data.outputs.expensesDatabase
output EXPENSES_COSMOS_CONTAINER string = data.outputs.expensesContainer

// What a registration of your own needs: a redirect URI of the platform Web, and a federated credential of this
// issuer and subject, with the audience api://AzureADTokenExchange.
output ENTRADA_REDIRECT_URI string = redirectUri
output ENTRADA_CREDENTIAL_ISSUER string = '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
output ENTRADA_CREDENTIAL_SUBJECT string = identities.outputs.entradaPrincipalId

// What to paste into a client: .vscode/mcp.json of VS Code, and a command for Claude Code.
output ENTRADA_VSCODE string = '{"servers":{"expenses":{"type":"http","url":"${mcpUrl}"}}}'
output ENTRADA_CLAUDE_CODE string = 'claude mcp add --transport http expenses ${mcpUrl}'
output ENTRADA_MCP_URL string = mcpUrl
