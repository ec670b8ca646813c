# bash completion for atomdb
_atomdb()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	case $previous in
	--config) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
	--port|--http-port|--reload) COMPREPLY=() ;;
	*) mapfile -t COMPREPLY < <(compgen -W "--config --port --http-port --check-config --print-config --reload --version --help" -- "$current") ;;
	esac
}
complete -o filenames -F _atomdb atomdb
