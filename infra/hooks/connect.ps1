# Where to connect to. azd runs it after `azd up`, with the outputs of main.bicep in the environment.
$ErrorActionPreference = 'Stop'

Write-Host ''
Write-Host "MCP server:   $env:ENTRADA_MCP_URL"
Write-Host 'VS Code:      put this into .vscode/mcp.json'
Write-Host "              $env:ENTRADA_VSCODE"
Write-Host "Claude Code:  $env:ENTRADA_CLAUDE_CODE"
