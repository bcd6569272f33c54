# Completion of mosaic for bash: what the program's own help lists, so it is never out of date.
_mosaic()
{
	local word=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} command=${COMP_WORDS[1]:-}
	local names

	if [ "$COMP_CWORD" = 1 ]; then
		names=$("$program" help 2> /dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p')
	elif [[ $word == -* ]]; then
		names=$("$program" help "$command" 2> /dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)
	elif [ "$COMP_CWORD" = 2 ]; then
		case $command in
		run | check) COMPREPLY=($(compgen -f -- "$word")); return ;;
		bench) names="produce consume e2e" ;;
		store) names="inspect verify repair" ;;
		plugins) names="list describe schema reference" ;;
		help) names=$("$program" help 2> /dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p') ;;
		*) names=$("$program" help "$command" 2> /dev/null |
			sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p') ;;
		esac
	elif [ "$COMP_CWORD" = 3 ] && [ "$command" = store ]; then
		COMPREPLY=($(compgen -d -- "$word"))
		return
	fi
	COMPREPLY=($(compgen -W "${names:-}" -- "$word"))
}
complete -F _mosaic mosaic
