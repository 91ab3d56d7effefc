// The app registration, by which people sign in to Entrada. It has no secret: the program's identity stands for it.
extension microsoftGraphV1

@description('The key of the registration in Entra ID, by which a second deployment finds it.')
param uniqueName string
param displayName string
param redirectUri string

@allowed([
  'AzureADMyOrg'
  'AzureADMultipleOrgs'
])
param signInAudience string

@description('The object id of the identity that may speak for the registration.')
param principalId string

var scopeName = 'mcp.access'
// Has the tenant's id in it, which every policy for identifier URIs allows.
var identifierUri = 'api://${tenant().tenantId}/${uniqueName}'
// Microsoft Graph, in every tenant.
var graph = '00000003-0000-0000-c000-000000000000'

resource app 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: uniqueName
  displayName: displayName
  signInAudience: signInAudience
  identifierUris: [
    identifierUri
  ]
  api: {
    requestedAccessTokenVersion: 2
    oauth2PermissionScopes: [
      {
        // The same at each deployment: a scope that is enabled can neither be removed nor renamed.
        id: guid(uniqueName, scopeName)
        value: scopeName
        type: 'User'
        isEnabled: true
        adminConsentDisplayName: 'Sign in to MCP servers'
        adminConsentDescription: 'Allows Entrada to know who is signed in, for the MCP servers behind it.'
        userConsentDisplayName: 'Sign in to MCP servers'
        userConsentDescription: 'Allows Entrada to know who you are, for the MCP servers behind it.'
      }
    ]
  }
  web: {
    redirectUris: [
      redirectUri
    ]
    implicitGrantSettings: {
      enableAccessTokenIssuance: false
      enableIdTokenIssuance: false
    }
  }
  // For allowed_groups. Of whoever is in too many, Entra sends none, and says so: the program then asks Microsoft Graph.
  groupMembershipClaims: 'SecurityGroup'
  optionalClaims: {
    idToken: [
      {
        name: 'acct' // who is a guest
      }
      {
        name: 'auth_time' // for prompt=login and max_age
      }
    ]
  }
  requiredResourceAccess: [
    {
      resourceAppId: graph
      resourceAccess: [
        {
          id: '37f7f235-527c-4136-accd-4a02d197296e' // openid
          type: 'Scope'
        }
        {
          id: '14dad69e-099b-42c9-810b-d002981feec1' // profile
          type: 'Scope'
        }
        {
          id: '7427e0e9-2fba-42fe-b0c0-848c9e6a8182' // offline_access
          type: 'Scope'
        }
        {
          id: 'e1fe6dd8-ba31-4d61-89e7-88639da4683d' // User.Read, for the groups of people who have too many for a token
          type: 'Scope'
        }
      ]
    }
  ]

  resource credential 'federatedIdentityCredentials@v1.0' = {
    // Entra knows a credential by the names of both.
    name: '${app.uniqueName}/managed-identity'
    description: 'The managed identity of the program'
    issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
    subject: principalId
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}

resource principal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: app.appId
  appRoleAssignmentRequired: false
  // Lists it under Enterprise applications.
  tags: [
    'WindowsAzureActiveDirectoryIntegratedApp'
  ]
}

output clientId string = app.appId
// By the GUID and not by the identifier URI: an app that asks for a token for itself gets no other (AADSTS90009).
output scope string = '${app.appId}/${scopeName}'
