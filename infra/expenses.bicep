// The sample MCP server, which only apps of the same environment reach. azd deploys this file as it does entrada.bicep.
param location string = resourceGroup().location
param name string
param environmentId string
param image string
param registry string
param identityId string
param identityClientId string
param pullIdentityId string

@description('The public URL of Entrada, whose tokens it verifies.')
param issuer string

@description('Its own URL as Entrada calls it, byte for byte: the audience of those tokens.')
param url string
param cosmosEndpoint string
param cosmosDatabase string
param cosmosContainer string

var port = 9000
var settings = {
  EXPENSES_ISSUER: issuer
  EXPENSES_AUDIENCE: url
  EXPENSES_LISTEN: '0.0.0.0:${port}'
  EXPENSES_COSMOS_ENDPOINT: cosmosEndpoint
  EXPENSES_COSMOS_DATABASE: cosmosDatabase
  EXPENSES_COSMOS_CONTAINER: cosmosContainer
  EXPENSES_MANAGED_IDENTITY: identityClientId
}

resource app 'Microsoft.App/containerApps@2025-01-01' = {
  name: name
  location: location
  tags: {
    'azd-service-name': 'expenses'
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
      '${pullIdentityId}': {}
    }
  }
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: false
        targetPort: port
        transport: 'auto'
        allowInsecure: false
      }
      registries: [
        {
          server: registry
          identity: pullIdentityId
        }
      ]
      identitySettings: [
        {
          identity: identityId
          lifecycle: 'Main'
        }
        {
          identity: pullIdentityId
          lifecycle: 'None'
        }
      ]
    }
    template: {
      terminationGracePeriodSeconds: 40
      containers: [
        {
          name: 'expenses'
          image: image
          resources: {
            cpu: json('0.25')
            memory: '0.5Gi'
          }
          env: map(items(settings), setting => {
            name: setting.key
            value: setting.value
          })
          // Every path wants a token, so the port has to do.
          probes: [
            {
              type: 'Startup'
              tcpSocket: {
                port: port
              }
              periodSeconds: 3
              failureThreshold: 10
            }
            {
              type: 'Readiness'
              tcpSocket: {
                port: port
              }
              periodSeconds: 5
              failureThreshold: 3
            }
            {
              type: 'Liveness'
              tcpSocket: {
                port: port
              }
              periodSeconds: 10
              failureThreshold: 3
            }
          ]
        }
      ]
      scale: {
        // The gateway waits while one starts.
        minReplicas: 0
        maxReplicas: 3
        rules: [
          {
            name: 'requests'
            http: {
              metadata: {
                concurrentRequests: '100'
              }
            }
          }
        ]
      }
    }
  }
}
