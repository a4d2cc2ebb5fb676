/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "hf_ctl.h"

#define MAIN_HEAD_WIDTH 19 /* of a command and its arguments, in the list */

struct main_command {
	const char *name, *args, *help;
};

static const struct main_command main_commands[] = {
#define X(id, name_, args_, help_) { .name = name_, .args = args_, .help = help_ },
#include "tbl/ctl_cmds.h"
#undef X
};

struct main_options {
	const char *socket;
	json_t *given; /* the command's own options, by their names in the table */
	bool json;
	bool watch, once;
};

static void main_print_usage(FILE *out)
{
	fputs("usage: holdfastctl [-s SOCKET] [--json] COMMAND [ARGUMENT] [OPTION]\n"
	      "       holdfastctl help [COMMAND]\n\n"
	      "  -s, --socket SOCKET  default $HOLDFAST_SOCKET, else " CLI_SOCKET "\n"
	      "      --json           print the result as JSON\n"
	      "  -w, --watch          stats: each second, with rates\n"
	      "      --once           top: one table\n"
	      "      --help, --version\n\n",
		out);
	for (size_t i = 0; i < HF_ARRAY_LEN(main_commands); i++) {
		char head[128];
		int width = MAIN_HEAD_WIDTH;

		if (snprintf(head, sizeof(head), "%s %s", main_commands[i].name,
			    main_commands[i].args) > width) {
			fprintf(out, "  %s\n", head);
			head[0] = '\0';
		}
		fprintf(out, "  %-*s %s\n", width, head, main_commands[i].help);
	}
	fputs("\nExit code: 0 done, 1 refused by the server, 2 usage, 3 no server.\n", out);
}

/* The command whose name the words begin with, and how many of them it takes: the longest. */
static const struct main_command *main_find(int count, char *const *words, int *ret_used)
{
	const struct main_command *found = NULL;

	*ret_used = 0;
	for (size_t i = 0; i < HF_ARRAY_LEN(main_commands); i++) {
		const char *name = main_commands[i].name;
		int used = 0;

		while (used < count) {
			size_t len = strcspn(name, " ");

			if (strlen(words[used]) != len || memcmp(words[used], name, len) != 0)
				break;
			used++;
			name += len;
			if (!*name)
				break;
			name++;
		}
		if (!*name && used > *ret_used) {
			found = &main_commands[i];
			*ret_used = used;
		}
	}
	return found;
}

static enum cli_exit main_unknown(const char *word)
{
	fprintf(stderr, "holdfastctl: unknown command \"%s\"; see holdfastctl help\n", word);
	return CLI_USAGE;
}

static enum cli_exit main_help(int count, char *const *words)
{
	const struct main_command *command;
	int used;

	if (count == 0) {
		main_print_usage(stdout);
		return CLI_DONE;
	}
	command = main_find(count, words, &used);
	if (!command || used < count)
		return main_unknown(words[count - 1]);
	printf("holdfastctl %s%s%s\n\n%s.\n", command->name, *command->args ? " " : "",
		command->args, command->help);
	return CLI_DONE;
}

/* The words that are left, with blanks between. NULL: no UTF-8. */
static json_t *main_rest(int count, char *const *words)
{
	char *text = strdup(*words);
	json_t *rest;

	for (int i = 1; text && i < count; i++) {
		char *longer = NULL;

		if (asprintf(&longer, "%s %s", text, words[i]) < 0)
			longer = NULL;
		free(text);
		text = longer;
	}
	rest = text ? json_string(text) : NULL;
	free(text);
	return rest;
}

/* The words behind the command, under the names that the table gives them, and its options. */
static int main_args(const struct main_command *command, int count, char *const *words,
	json_t *given, struct hf_err *err)
{
	struct hf_ctl_arg arg = { .group = 0 };
	const char *at = command->args;

	while (count > 0 && (at = hf_ctl_arg_next(at, &arg))) {
		if (arg.option)
			continue;
		if (json_object_set_new(given, arg.key,
			    arg.rest ? main_rest(count, words) : json_string(*words)) != 0)
			return hf_err_set(err, -1, "\"%s\" is no UTF-8", *words);
		if (arg.rest)
			count = 1;
		words++;
		count--;
	}
	if (count > 0)
		return hf_err_set(err, -1, "%s: too many arguments", command->name);
	if (hf_ctl_args_check(command->name, command->args, given, err) != 0)
		return -1;
	return cli_credential(given, err);
}

static enum cli_exit main_answer(const json_t *answer, const struct main_options *options)
{
	const json_t *error = json_object_get(answer, "error");
	const json_t *result = json_object_get(answer, "result");
	bool ok = json_is_true(json_object_get(answer, "ok"));

	if (options->json) {
		(void)json_dumpf(ok ? result : answer, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
		putchar('\n');
	} else if (ok) {
		cli_show(result, stdout);
	}
	if (!ok) {
		const json_t *message = json_object_get(error, "message");
		const json_t *reasons = json_object_get(error, "errors");

		fputs("holdfastctl: refused: ", stderr);
		if (message)
			cli_show(message, stderr);
		else
			fputs("no reason given\n", stderr);
		if (reasons)
			cli_show(reasons, stderr);
	}
	return ok ? CLI_DONE : CLI_REFUSED;
}

/* -w and --once are ours, and of one command each. */
static int main_check(
	const struct main_command *command, const struct main_options *options, struct hf_err *err)
{
	if (options->watch && strcmp(command->name, "stats") != 0)
		return hf_err_set(err, -1, "%s: no --watch", command->name);
	if (options->once && strcmp(command->name, "top") != 0)
		return hf_err_set(err, -1, "%s: no --once", command->name);
	return 0;
}

static enum cli_exit main_talk(const json_t *request, const struct main_options *options)
{
	struct hf_err err = { "" };
	struct cli_call call;
	enum cli_exit code = CLI_NO_SERVER;
	json_t *answer;

	if (cli_connect(options->socket, &err, &call) != 0) {
		fprintf(stderr, "holdfastctl: %s\n", err.text);
		return code;
	}
	if (cli_ask(&call, request, &err, &answer) != 0) {
		fprintf(stderr, "holdfastctl: %s\n", err.text);
	} else {
		const json_t *result = json_object_get(answer, "result");

		if (json_is_true(json_object_get(result, "stream")))
			code = cli_stream(&call, options->json, options->once);
		else if (result && options->watch)
			code = cli_watch_stats(&call, request, answer, options->json);
		else
			code = main_answer(answer, options);
		json_decref(answer);
	}
	cli_close(&call);
	return code;
}

static enum cli_exit main_run(int count, char *const *words, const struct main_options *options)
{
	int used;
	const struct main_command *command = main_find(count, words, &used);
	struct hf_err err = { "" };
	enum cli_exit code;
	json_t *request;

	if (!command)
		return main_unknown(words[0]);
	if (main_check(command, options, &err) != 0 ||
		main_args(command, count - used, words + used, options->given, &err) != 0) {
		fprintf(stderr, "holdfastctl: %s\nusage: holdfastctl %s %s\n", err.text,
			command->name, command->args);
		return CLI_USAGE;
	}
	request = json_pack(
		"{s:i, s:s, s:O}", "id", 1, "command", command->name, "args", options->given);
	HF_ASSERT(request);
	code = main_talk(request, options);
	json_decref(request);
	return code;
}

/* An option that some command has. False: its value is no UTF-8. */
static bool main_give(json_t *given, const char *name, const char *value)
{
	return json_object_set_new(given, name, value ? json_string(value) : json_true()) == 0;
}

static enum cli_exit main_dispatch(int argc, char **argv, struct main_options *options)
{
	static const struct option known[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "watch", no_argument, NULL, 'w' },
		{ "once", no_argument, NULL, '1' },
		{ "trace", no_argument, NULL, 'o' },
		{ "all", no_argument, NULL, 'o' },
		{ "cache", required_argument, NULL, 'o' },
		{ "prefix", required_argument, NULL, 'o' },
		{ "soft", no_argument, NULL, 'o' },
		{ "tag", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	int c, index = 0;

	while ((c = getopt_long(argc, argv, "s:hw", known, &index)) != -1) {
		switch (c) {
		case 's':
			options->socket = optarg;
			break;
		case 'j':
			options->json = true;
			break;
		case 'w':
			options->watch = true;
			break;
		case '1':
			options->once = true;
			break;
		case 'h':
			main_print_usage(stdout);
			return CLI_DONE;
		case 'V':
			printf("holdfastctl %s\n", HF_VERSION);
			return CLI_DONE;
		case 'o':
			if (main_give(options->given, known[index].name, optarg))
				break;
			fprintf(stderr, "holdfastctl: --%s: no UTF-8\n", known[index].name);
			return CLI_USAGE;
		default: /* getopt said what is wrong */
			fputs("see holdfastctl --help\n", stderr);
			return CLI_USAGE;
		}
	}
	if (optind == argc) {
		main_print_usage(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[optind], "help") == 0)
		return main_help(argc - optind - 1, argv + optind + 1);
	return main_run(argc - optind, argv + optind, options);
}

int main(int argc, char **argv)
{
	const char *from_env = getenv("HOLDFAST_SOCKET");
	struct main_options options = { .socket = from_env && *from_env ? from_env : CLI_SOCKET,
		.given = json_object() };
	enum cli_exit code = main_dispatch(argc, argv, &options);

	json_decref(options.given);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("holdfastctl: writing");
		return CLI_REFUSED;
	}
	return code;
}
