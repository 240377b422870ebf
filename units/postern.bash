# Completion of postern's command line for bash. Commands and options are those that its --help shows,
# so a newer postern needs no newer file.
_postern()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} word command= i
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-c | -o) ((i++)) ;;
		-*) ;;
		*) command=$word; break ;;
		esac
	done
	COMPREPLY=()
	if [[ $previous == -c ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
	elif [[ -n $command && $current != -* ]]; then
		case $command in
		# Lanes, which are the names of directories; whoever may not read them is offered none.
		list | retry | hold | release | remove | bounce)
			mapfile -t COMPREPLY < <(compgen -W "$(postern status --json 2>/dev/null |
				grep -o '"lane":"[^"\\]*"' | cut -d '"' -f 4)" -- "$current") ;;
		esac
	elif [[ $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(postern $command --help 2>/dev/null |
			sed -n 's/^  \(--*[a-z][a-z-]*\).*/\1/p')" -- "$current")
	else
		mapfile -t COMPREPLY < <(compgen -W "$(postern --help 2>/dev/null |
			sed -n 's/^  \([a-z]*\)  .*/\1/p')" -- "$current")
	fi
}
complete -F _postern postern
