// The program. azd deploys this file to the resource group each time that it has built the image.
param location string = resourceGroup().location
param name string
param environmentId string
param image string
param registry string
param identityId string
param identityClientId string
param pullIdentityId string

param publicUrl string
param tenant string

@description('GUIDs of tenants, separated by commas. Empty where tenant is the one.')
param tenants string
param guests string
param clientId string
param scope string
param cosmosEndpoint string
param cosmosDatabase string
param cosmosContainer string
param vault string
param expensesUrl string

@description('A number. azd hands everything over as text.')
param minReplicas string

var port = 8080

// One line for each MCP server. A list of TOML, as ENTRADA_RESOURCE wants it; README.md has all keys.
var resources = [
  '{path="/mcp", name="Expenses", upstream="${expensesUrl}", scopes={"mcp.read"="Read your expenses", "mcp.write"="Add expenses"}, tools={whoami="mcp.read", list_expenses="mcp.read", total_by_category="mcp.read", add_expense="mcp.write"}}'
]

var settings = {
  ENTRADA_PUBLIC_URL: publicUrl
  ENTRADA_LISTEN: '0.0.0.0:${port}'
  ENTRADA_LOG__FORMAT: 'json'
  // Until readiness has failed, and a little: the ingress may send requests to a replica that is told to stop.
  ENTRADA_STOP_DELAY: '20s'
  // The ingress, which writes X-Forwarded-For.
  ENTRADA_LIMITS__PROXIES: '1'
  ENTRADA_UPSTREAM__TENANT: tenant
  ENTRADA_UPSTREAM__GUESTS: guests
  ENTRADA_UPSTREAM__CLIENT_ID: clientId
  ENTRADA_UPSTREAM__CREDENTIAL: 'managed-identity'
  ENTRADA_UPSTREAM__MANAGED_IDENTITY: identityClientId
  ENTRADA_UPSTREAM__SCOPES: '["${scope}"]'
  ENTRADA_STORE__KIND: 'cosmos'
  ENTRADA_STORE__ENDPOINT: cosmosEndpoint
  ENTRADA_STORE__DATABASE: cosmosDatabase
  ENTRADA_STORE__CONTAINER: cosmosContainer
  ENTRADA_STORE__CREDENTIAL: 'managed-identity'
  ENTRADA_STORE__MANAGED_IDENTITY: identityClientId
  ENTRADA_KEYS__VAULT: vault
  ENTRADA_KEYS__CREDENTIAL: 'managed-identity'
  ENTRADA_KEYS__MANAGED_IDENTITY: identityClientId
  ENTRADA_RESOURCE: '[${join(resources, ', ')}]'
}
// Only for several tenants: with one it is refused.
var tenantSettings = empty(tenants) ? {} : {
  ENTRADA_UPSTREAM__ALLOWED_TENANTS: '["${join(split(replace(tenants, ' ', ''), ','), '", "')}"]'
}

resource app 'Microsoft.App/containerApps@2025-01-01' = {
  name: name
  location: location
  tags: {
    'azd-service-name': 'entrada'
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
        external: true
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
      // The program answers everybody for ENTRADA_STOP_DELAY, and then lets open requests end for 25 s.
      terminationGracePeriodSeconds: 60
      containers: [
        {
          name: 'entrada'
          image: image
          resources: {
            cpu: json('0.25')
            memory: '0.5Gi'
          }
          env: map(items(union(settings, tenantSettings)), setting => {
            name: setting.key
            value: setting.value
          })
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: '/healthz/live'
                port: port
              }
              periodSeconds: 3
              failureThreshold: 10
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/healthz/ready'
                port: port
              }
              periodSeconds: 5
              timeoutSeconds: 3
              failureThreshold: 3
            }
            {
              type: 'Liveness'
              httpGet: {
                path: '/healthz/live'
                port: port
              }
              periodSeconds: 10
              timeoutSeconds: 3
              failureThreshold: 3
            }
          ]
        }
      ]
      scale: {
        minReplicas: int(minReplicas)
        maxReplicas: 5
        rules: [
          {
            name: 'requests'
            http: {
              metadata: {
                // Open streams count, and cost a replica little.
                concurrentRequests: '500'
              }
            }
          }
        ]
      }
    }
  }
}

output SERVICE_ENTRADA_FQDN string = app.properties.configuration.ingress.fqdn
