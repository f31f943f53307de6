"""The scripts that shells load, one each: they ask `candidates`, and let the shell itself find files."""

from __future__ import annotations

_HEAD = """\
# Completion of mlsssl in {shell}: mlsssl completion {name}
# {how}
"""

_BASH = r"""
_mlsssl() {
    local line first=1 besides=
    COMPREPLY=()
    while IFS= read -r line; do
        if ((first)); then
            first=0 besides=$line
        elif [[ $line ]]; then
            COMPREPLY+=("$line")
        fi
    done < <(mlsssl completion --candidates bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 0 && $besides ]]; then
        # Readline's own way, which knows quotes and ~.
        compopt -o default
        [[ $besides == folders ]] && compopt -o dirnames +o default
    else
        compopt +o default
        [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[:=] ]] && compopt -o nospace
    fi
    return 0
}
complete -F _mlsssl mlsssl
"""

_ZSH = r"""
_mlsssl() {
    local -a lines found shown open shown_open
    local line text besides
    lines=("${(@f)$(mlsssl completion --candidates zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    besides=$lines[1]
    for line in "${(@)lines[2,-1]}"; do
        text=${line%%$'\t'*}
        [[ -z $text ]] && continue
        line=${line/$'\t'/  -- }
        if [[ $text == *[:=] ]]; then
            open+=("$text") shown_open+=("$line")
        else
            found+=("$text") shown+=("$line")
        fi
    done
    (( $#found )) && compadd -l -d shown -a found
    (( $#open )) && compadd -S '' -l -d shown_open -a open
    if [[ -n $besides ]]; then
        compset -P '--*='
        [[ $besides == folders ]] && _files -/ || _files
    fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _mlsssl "$@"
else
    compdef _mlsssl mlsssl
fi
"""

_FISH = r"""
function __mlsssl_complete
    set -l before (commandline -opc)
    set -l word (string unescape -- (commandline -ct); or commandline -ct)
    set -l answer (mlsssl completion --candidates fish $before[2..-1] "$word" 2>/dev/null)
    switch "$answer[1]"
        case files
            __fish_complete_path (commandline -ct)
        case folders
            __fish_complete_directories (commandline -ct)
    end
    printf '%s\n' $answer[2..-1]
end
complete -c mlsssl -f -a '(__mlsssl_complete)'
"""

_POWERSHELL = r"""
Register-ArgumentCompleter -Native -CommandName @("mlsssl", "mlsssl.exe") -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object {
            if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value }
            else { $_.Extent.Text }
        })
    $before = $env:MLSSSL_COMPLETING
    try {
        $env:MLSSSL_COMPLETING = (@($words) + @($wordToComplete.Trim("'", '"'))) -join "`n"
        $answer = @(mlsssl completion --candidates powershell 2>$null)
    } finally {
        $env:MLSSSL_COMPLETING = $before
    }
    # Where nothing is returned, PowerShell completes names of files.
    $answer | Select-Object -Skip 1 | ForEach-Object {
        $text, $told = $_ -split "`t", 2
        if (-not $told) { $told = $text }
        $written = $text
        if ($text -cnotmatch '^[A-Za-z0-9_./:\\=+-]+$') {
            # Which knows the typographic quotes that end a string too.
            $quoted = [System.Management.Automation.Language.CodeGeneration]::EscapeSingleQuotedStringContent($text)
            $written = "'$quoted'"
        }
        [System.Management.Automation.CompletionResult]::new($written, $text, 'ParameterValue', $told)
    }
}
"""

SCRIPTS = {
    "bash": ("Bash", "into ~/.bashrc: source <(mlsssl completion bash)", _BASH),
    "zsh": ("Zsh", "into ~/.zshrc, below compinit: source <(mlsssl completion zsh)", _ZSH),
    "fish": ("fish", "mlsssl completion fish > ~/.config/fish/completions/mlsssl.fish", _FISH),
    "powershell": (
        "PowerShell",
        "into $PROFILE: mlsssl completion powershell | Out-String | Invoke-Expression",
        _POWERSHELL,
    ),
}


def script(name: str) -> str:
    """The script for the shell of this name, one of `SCRIPTS`."""
    shell, how, text = SCRIPTS[name]
    # By this line compinit knows a file in fpath.
    first = "#compdef mlsssl\n" if name == "zsh" else ""
    return first + _HEAD.format(shell=shell, name=name, how=how) + text
