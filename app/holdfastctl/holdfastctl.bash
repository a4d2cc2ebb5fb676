# SPDX-License-Identifier: BSD-3-Clause
# bash completion for holdfastctl: the commands are those that it lists itself.
_holdfastctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} list words=() i

	if [[ $prev == -s || $prev == --socket ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
	fi
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '-s --socket --json -w --watch --once --trace --cache --prefix --tag --all --soft --help --version' -- "$cur")
		return
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket) ((i++)) ;;
		-* | help) ;;
		*) words+=("${COMP_WORDS[i]}") ;;
		esac
	done
	# lines of the command list: two blanks, then the lower-case words of a name
	list=$("${COMP_WORDS[0]}" help 2>/dev/null | sed -n 's/^  \([a-z]\+\( [a-z]\+\)\?\) .*/\1/p')
	case ${#words[@]} in
	0) list=$(cut -d' ' -f1 <<<"$list" | sort -u)$'\nhelp' ;;
	1)
		case ${words[0]} in
		top) list='keys clients origins' ;;
		log) list='status= method= host= path= client= cache= slow=' ;;
		*) list=$(sed -n "s/^${words[0]//[^a-z]/} //p" <<<"$list") ;;
		esac
		;;
	*)
		[[ ${words[*]:0:2} == 'config check' ]] && mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$list" -- "$cur")
}
complete -F _holdfastctl holdfastctl
