# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of qvfctl for bash: verbs and options are those that qvfctl --help prints, names are those that exist.

_qvfctl_verbs() {
	qvfctl --help 2>/dev/null | sed -nE 's/^  ([a-z]+( [a-z]+)?)  .*/\1/p'
}

# The names that a verb's word can be.
_qvfctl_names() {
	case $1 in
	'job '*) qvfctl jobs --names ;;
	'models add' | 'adapters import' | train) compgen -f -- "$2" ;;
	'models '*) qvfctl models --names ;;
	'adapters '*) qvfctl adapters --names ;;
	'devices reset') qvfctl devices --names ;;
	'policy check') compgen -f -- "$2" ;;
	hold) compgen -c -- "$2" ;;
	esac 2>/dev/null
}

# The values of an option: choices stand in the help with | between them.
_qvfctl_values() {
	case $2 in
	--model) qvfctl models --names ;;
	--adapter | --init) qvfctl adapters --names ;;
	--after) qvfctl jobs --names ;;
	--device) qvfctl devices --names ;;
	--address) printf '%s\n' system user unix:path= ;;
	*)
		# shellcheck disable=SC2086
		qvfctl $1 --help | sed -nE "s/^  (-.,|   ) $2 ([^ ]+) .*/\2/p" | grep '|' | tr '|' '\n'
		;;
	esac 2>/dev/null
}

_qvfctl() {
	local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verbs verb words
	verbs=$(_qvfctl_verbs)
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(cut -d' ' -f1 <<<"$verbs" | sort -u)" -- "$current")
		return
	fi
	verb=${COMP_WORDS[1]}
	if grep -qx "$verb ${COMP_WORDS[2]}" <<<"$verbs" && [ "$COMP_CWORD" -gt 2 ]; then
		verb="$verb ${COMP_WORDS[2]}"
	fi
	if [ "$COMP_CWORD" -eq 2 ]; then
		words=$(sed -n "s/^$verb //p" <<<"$verbs")
	fi
	case $current in
	-*) words=$(
		# shellcheck disable=SC2086
		qvfctl $verb --help 2>/dev/null | sed -nE 's/^  (-.,|   ) (--[a-z0-9-]+).*/\2/p'
	) ;;
	*)
		local values=
		case $before in --*) values=$(_qvfctl_values "$verb" "$before") ;; esac
		words="${values:-${words:-$(_qvfctl_names "$verb" "$current")}}"
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -o default -F _qvfctl qvfctl
