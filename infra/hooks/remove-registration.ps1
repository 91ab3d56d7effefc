# Removes the app registration that main.bicep made, for good, so that its names are free for the next `azd up`.
# It is found by the unique name that main.bicep gives it; one that you brought has another, and stays.
# azd runs it after `azd down`. By hand: set AZURE_SUBSCRIPTION_ID and AZURE_ENV_NAME.
$ErrorActionPreference = 'Stop'

$graph = 'https://graph.microsoft.com/v1.0'
$name = "entrada-$env:AZURE_SUBSCRIPTION_ID-$env:AZURE_ENV_NAME"
$token = (azd auth token --scope https://graph.microsoft.com/.default --output json | ConvertFrom-Json).token
$headers = @{ Authorization = "Bearer $token" }

try {
    $id = (Invoke-RestMethod -Uri "$graph/applications(uniqueName='$name')?`$select=id" -Headers $headers).id
} catch {
    if ($_.Exception.Response.StatusCode -eq 404) {
        Write-Host "There is no app registration $name."
        exit 0
    }
    throw
}
Invoke-RestMethod -Method Delete -Uri "$graph/applications/$id" -Headers $headers | Out-Null

# A moment passes until it is among the deleted ones.
foreach ($wait in 2, 4, 8, 16) {
    try {
        Invoke-RestMethod -Method Delete -Uri "$graph/directory/deletedItems/$id" -Headers $headers | Out-Null
        Write-Host "The app registration $name is gone."
        exit 0
    } catch {
        if ($_.Exception.Response.StatusCode -ne 404) { throw }
        Start-Sleep -Seconds $wait
    }
}
throw 'The app registration is deleted, but not yet for good. Remove it in the Entra admin center, under App registrations, Deleted applications.'
