"""Errors that a person makes, seeded one by one: the checks have to see each, and for the right reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .files import parsed
from .syntax import Problem


@dataclass(frozen=True)
class Mutation:
    what: str
    path: str
    old: str
    new: str
    # In the problem that has to be found.
    seen: str


APP, DATA, MAIN = "entrada.bicep", "modules/data.bicep", "main.bicep"
ENTRA, VAULT, PLATFORM = "modules/entra.bicep", "modules/vault.bicep", "modules/platform.bicep"
EXPENSES_ROLE = "scope: '${account.id}/dbs/${expensesDatabase.name}/colls/${expenses.name}'"

# What the types forbid.
TYPES = [
    Mutation("a type of resource", APP, "Microsoft.App/containerApps@", "Microsoft.App/containerApp@", "is not known"),
    Mutation("an API version", APP, "containerApps@2025-01-01", "containerApps@2025-01-02", "It is known in 2025-01-01"),
    Mutation("an API version of Graph", ENTRA, "applications@v1.0", "applications@v2.0", "It is known in v1.0"),
    Mutation("a property", APP, "targetPort: port", "targetport: port", "Is it targetPort?"),
    Mutation("a property, deep", DATA, "defaultTtl: -1", "defaultTTL: -1", "Is it defaultTtl?"),
    Mutation("a property of Graph", ENTRA, "requestedAccessTokenVersion", "requestedTokenVersion", "Is it requestedAccessTokenVersion?"),
    Mutation("a property of a nested resource", ENTRA, "    audiences: [", "    audience: [", "lacks audiences"),
    Mutation("a property of a variant", DATA, "continuousModeProperties", "periodicModeProperties", "has no periodicModeProperties"),
    Mutation("a required property", DATA, "    databaseAccountOfferType: 'Standard'\n", "", "lacks databaseAccountOfferType"),
    Mutation("a required property at the top", VAULT, "  location: location\n", "", "lacks location"),
    Mutation("a required property of a probe", APP, "                port: port\n", "", "lacks port"),
    Mutation("a required property of Graph", ENTRA, "  displayName: displayName\n", "", "lacks displayName"),
    Mutation("a read-only property", VAULT, "    tenantId: tenant().tenantId", "    hsmPoolResourceId: ''\n    tenantId: tenant().tenantId", "read-only"),
    Mutation("a value of a closed list", DATA, "'Session'", "'Sessions'", "'Sessions' is none of"),
    Mutation("a value of an open list", APP, "type: 'Startup'", "type: 'StartUp'", "'StartUp' is none of"),
    Mutation("a value that decides the variant", DATA, "type: 'Continuous'", "type: 'Permanent'", "has to be one of"),
    Mutation("a value of the registration", ENTRA, "type: 'Scope'", "type: 'Delegated'", "'Delegated' is none of"),
    Mutation("a number that is text", APP, "periodSeconds: 5", "periodSeconds: '5'", "int is wanted"),
    Mutation("text that is a number", APP, "concurrentRequests: '500'", "concurrentRequests: 500", "string is wanted"),
    Mutation("a boolean that is text", PLATFORM, "adminUserEnabled: false", "adminUserEnabled: 'false'", "bool is wanted"),
    Mutation("a parameter of another type", APP, "minReplicas: int(minReplicas)", "minReplicas: minReplicas", "int is wanted"),
    Mutation("one in place of a list", DATA, "paths: [\n          '/pk'\n        ]", "paths: '/pk'", "array of string is wanted"),
    Mutation("a number out of range", APP, "failureThreshold: 10", "failureThreshold: 30", "30 is not between 1 and 10"),
    Mutation("a parent of another type", DATA, "  parent: entradaDatabase\n  name: 'grants'", "  parent: account\n  name: 'grants'", "is no parent of"),
    Mutation("no parent", DATA, "  parent: account\n  name: guid(account.id, entradaPrincipalId, 'grants')", "  name: guid(account.id, entradaPrincipalId, 'grants')", "neither a parent"),
    Mutation("a property that is read", MAIN, "platform.outputs.defaultDomain}'\n// Ends", "platform.outputs.domain}'\n// Ends", "has no output domain"),
    Mutation("a property of a resource that is read", PLATFORM, "registry.properties.loginServer", "registry.properties.loginserver", "Is it loginServer?"),
    Mutation("a property of an identity that is read", "modules/identities.bicep", "entrada.properties.principalId", "entrada.properties.objectId", "has no objectId"),
    Mutation("a parameter of a module", MAIN, "    publicAccess: !useVnet\n", "    public: !useVnet\n", "has no param public"),
    Mutation("a parameter that a module is not given", MAIN, "    workspaceId: platform.outputs.workspaceId\n", "", "is not told workspaceId"),
    Mutation("a parameter of a module, of another type", MAIN, "publicAccess: !useVnet", "publicAccess: 'yes'", "bool is wanted"),
    Mutation("a value that a module does not allow", MAIN, "signInAudience: signInAudience", "signInAudience: 'Everybody'", "'Everybody' is none of"),
    Mutation("a module that is elsewhere", MAIN, "'modules/vault.bicep'", "'modules/keyvault.bicep'", "is not there"),
    Mutation("a module without its scope", MAIN, "module vault 'modules/vault.bicep' = {\n  scope: group\n", "module vault 'modules/vault.bicep' = {\n", "is deployed to a resourceGroup"),
    Mutation("a resource at another scope", PLATFORM, "param token string", "targetScope = 'subscription'\nparam token string", "is not deployed to a Subscription"),
    Mutation("an output that may not be there", MAIN, "entra!.outputs.clientId", "entra.outputs.clientId", "may not be there"),
    Mutation("a name", VAULT, "workspaceId: workspaceId", "workspaceId: workspace", "is declared nowhere"),
    Mutation("a function", DATA, "name: guid(account.id, entradaPrincipalId, 'grants')", "name: newGuid(account.id)", "is no function"),
    Mutation("an argument of a function", APP, "int(minReplicas)", "int(minReplicas, 10)", "takes no 2 arguments"),
    Mutation("a parameter that nobody uses", VAULT, "param token string", "param token string\nparam sku string = 'standard'", "is used nowhere"),
    Mutation("a default that is not allowed", MAIN, "param guests string = 'deny'", "param guests string = 'never'", "'never' is none of"),
    Mutation("a brace", APP, "      scale: {\n", "      scale:\n", "is wanted here"),
    Mutation("a resource as text", DATA, "'${account.id}/sqlRoleDefinitions/${dataContributor}'\n    principalId: entradaPrincipalId", "'${account}/sqlRoleDefinitions/${dataContributor}'\n    principalId: entradaPrincipalId", "is no text"),
]

# What files say of each other.
FILES = [
    Mutation("a parameter in a file of parameters", "entrada.parameters.json", '"publicUrl"', '"publicURL"', "has no param publicURL"),
    Mutation("a parameter that is not in the file", "expenses.parameters.json", '    "issuer": { "value": "${ENTRADA_PUBLIC_URL}" },\n', "", "wants issuer"),
    Mutation("an output that is not there", "entrada.parameters.json", "${ENTRADA_VAULT}", "${KEY_VAULT_URL}", "has no output KEY_VAULT_URL"),
    Mutation("an output under another name", MAIN, "output ENTRADA_COSMOS_ENDPOINT", "output COSMOS_ENDPOINT", "has no output ENTRADA_COSMOS_ENDPOINT"),
    Mutation("an output that would change an option", MAIN, "output ENTRADA_GUESTS string = guests", "output ENTRADA_GUESTS string = guests\noutput ENTRA_GUESTS string = guests", "would change the option"),
    Mutation("a number from azd to an app", APP, "param minReplicas string", "param minReplicas int", "is no string in entrada.bicep"),
    Mutation("a default that azd overrides with nothing", "main.parameters.json", '"value": "${ENTRA_GUESTS}"', '"value": "${ENTRA_GUESTS=maybe}"', "may not be 'maybe'"),
]

# What the rules are for.
RULES = [
    Mutation("the sample may use the whole account", DATA, EXPENSES_ROLE, "scope: account.id", "outside its container"),
    Mutation("the sample may use Entrada's container", DATA, EXPENSES_ROLE, "scope: '${account.id}/dbs/${entradaDatabase.name}/colls/${grants.name}'", "outside its container"),
    Mutation("the sample may use its database", DATA, EXPENSES_ROLE, "scope: '${account.id}/dbs/${expensesDatabase.name}'", "outside its container"),
    Mutation("the sample may read the root key", MAIN, "    entradaPrincipalId: identities.outputs.entradaPrincipalId\n    workspaceId", "    entradaPrincipalId: identities.outputs.expensesPrincipalId\n    workspaceId", "outside its container"),
    Mutation("the sample may pull images", MAIN, "identities.outputs.pullPrincipalId", "identities.outputs.expensesPrincipalId", "outside its container"),
    Mutation("the sample speaks for the registration", MAIN, "    principalId: identities.outputs.entradaPrincipalId", "    principalId: identities.outputs.expensesPrincipalId", "spoken for by expenses"),
    Mutation("the sample has the program's identity", "expenses.parameters.json", "${EXPENSES_IDENTITY_ID}", "${ENTRADA_IDENTITY_ID}", "its own identity"),
    Mutation("the program may do more in its vault", VAULT, "var secretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'", "var secretsOfficer = '00482a5a-887f-4fb3-b363-3b7fe8e74483'", "has no need of"),
    Mutation("the program may do it everywhere", VAULT, "  scope: vault\n  properties: {\n    roleDefinitionId", "  properties: {\n    roleDefinitionId", "has no need of"),
    Mutation("code can pull images", APP, "lifecycle: 'None'", "lifecycle: 'All'", "can get a token of the identity that pulls"),
    Mutation("a secret in an app", APP, "ENTRADA_KEYS__VAULT: vault", "ENTRADA_UPSTREAM__CLIENT_SECRET: vault", "is a secret"),
    Mutation("a key in a template", PLATFORM, "output workspaceId string = workspace.id", "output workspaceId string = listKeys(workspace.id, '2025-02-01').primarySharedKey", "listKeys is no function"),
    Mutation("the account takes keys", DATA, "disableLocalAuth: true", "disableLocalAuth: false", "takes keys"),
    Mutation("the container is another", DATA, "path: '/exp/?'", "path: '/expires/?'", "not that of docs/storage.md"),
    Mutation("the redirect URI is another", MAIN, "/auth/callback'", "/callback'", "called back at"),
    Mutation("a setting that is none", APP, "ENTRADA_LOG__FORMAT", "ENTRADA_LOG_FORMAT", "is no setting of the program"),
    Mutation("a probe of another path", APP, "'/healthz/ready'", "'/health/ready'", "The probes are"),
    Mutation("no time to stop", APP, "terminationGracePeriodSeconds: 60", "terminationGracePeriodSeconds: 40", "takes 45 s to stop"),
    Mutation("gone before it is unready", APP, "ENTRADA_STOP_DELAY: '20s'", "ENTRADA_STOP_DELAY: '15s'", "before its readiness has failed"),
    Mutation("no group in a token", ENTRA, "groupMembershipClaims: 'SecurityGroup'", "groupMembershipClaims: 'None'", "learns of no group"),
    Mutation("the sample's container is parted otherwise", DATA, "'/sub'", "'/oid'", "under /sub"),
    Mutation("the sample on the internet", "expenses.bicep", "external: false", "external: true", "on the internet"),
    Mutation("a list that is no TOML", APP, 'scopes={"mcp.read"=', 'scopes={"mcp.read":', "no TOML"),
    Mutation("a tool that is none", APP, 'list_expenses="mcp.read"', 'list_expense="mcp.read"', "The tools of the sample"),
    Mutation("a registration under another name", MAIN, "'entrada-${subscription().subscriptionId}-", "'entrada-${token}-", "looks for"),
    Mutation("a name that is too long", VAULT, "name: 'kv-${token}'", "name: 'kv-entrada-vault-${token}'", "is no name for"),
    Mutation("the vault is on the internet despite USE_VNET", MAIN, "    publicAccess: !useVnet\n  }\n}\n\nmodule dataEndpoint", "    publicAccess: true\n  }\n}\n\nmodule dataEndpoint", "despite USE_VNET"),
    Mutation("a private endpoint of another kind", MAIN, "groupId: 'Sql'", "groupId: 'SQL'", "is not reached by the private endpoint"),
    Mutation("a zone of another name", MAIN, "privatelink.vaultcore.azure.net", "privatelink.vault.azure.net", "is not reached by the private endpoint"),
]

MUTATIONS = [*TYPES, *FILES, *RULES]


def test(texts: dict[str, str], problems_of: Callable[[dict, dict], list[Problem]]) -> list[str]:
    """What is not seen, in words. `problems_of` checks texts and what was read of them."""
    missed = []
    for mutation in MUTATIONS:
        text = texts[mutation.path]
        if text == text.replace(mutation.old, mutation.new, 1):
            missed.append(f"{mutation.what}: {mutation.path} has no {mutation.old!r} to change.")
            continue
        mutant = texts | {mutation.path: text.replace(mutation.old, mutation.new, 1)}
        try:
            found = problems_of(mutant, parsed(mutant))
        except Problem as problem:
            found = [problem]
        if not any(mutation.seen in str(problem) for problem in found):
            shown = "; ".join(map(str, found)) or "nothing"
            missed.append(f"{mutation.what}, in {mutation.path}: {mutation.seen!r} is wanted, and found was {shown}.")
    return missed
