// Three identities, so that none can do what another is for.
param token string
param location string
param tags object

@description('The program: its container, its vault, and the federated credential of the app registration.')
resource entrada 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-entrada-${token}'
  location: location
  tags: tags
}

@description('The sample: its own container, and nothing else.')
resource expenses 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-expenses-${token}'
  location: location
  tags: tags
}

@description('Pulls images. No code that runs can get its token: see identitySettings of the apps.')
resource pull 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-pull-${token}'
  location: location
  tags: tags
}

output entradaId string = entrada.id
output entradaClientId string = entrada.properties.clientId
output entradaPrincipalId string = entrada.properties.principalId
output expensesId string = expenses.id
output expensesClientId string = expenses.properties.clientId
output expensesPrincipalId string = expenses.properties.principalId
output pullId string = pull.id
output pullPrincipalId string = pull.properties.principalId
