/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "hf_log.h"

static const char main_usage[] =
	"Usage: holdfastd [-c FILE] [--check] [--version] [--help]\n"
	"\n"
	"HTTP cache appliance on poll-mode NIC queues.\n"
	"\n"
	"  -c, --config FILE  configuration (default /etc/holdfast/holdfast.yaml)\n"
	"      --check        read the configuration and the state file it names, print every\n"
	"                     error, and exit: 0 fine, 2 not\n"
	"      --version      print the version and exit\n"
	"      --help         print this and exit\n"
	"\n"
	"SIGTERM and SIGINT drain: no new connections, open responses finish, then exit.\n"
	"A second one does not wait for them. SIGHUP reads the configuration again.\n"
	"See holdfastd(8) and holdfastctl(1).\n";

struct main_args {
	const char *config;
	bool check;
};

static void main_parse(int argc, char **argv, struct main_args *ret_args)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'C' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	ret_args->config = "/etc/holdfast/holdfast.yaml";
	ret_args->check = false;
	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			ret_args->config = optarg;
			break;
		case 'C':
			ret_args->check = true;
			break;
		case 'V':
			puts("holdfastd " HF_VERSION);
			exit(0);
		case 'h':
			fputs(main_usage, stdout);
			exit(0);
		default:
			fputs(main_usage, stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "holdfastd: unexpected argument: %s\n%s", argv[optind], main_usage);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct main_args args;
	struct hf_conf *conf = NULL;
	struct app *app;
	struct hf_err err = { "" };
	int rc;

	main_parse(argc, argv, &args);
	if (app_config_load(args.config, stderr, &conf) != 0)
		return 2;
	app = calloc(1, sizeof(*app));
	HF_ASSERT(app != NULL);
	app->conf = conf;
	app->conf_boot = conf;
	if (args.check) {
		puts("configuration is valid");
		rc = 0;
	} else {
		rc = app_boot(app, &err);
		app->warm.served = rc == 0;
		if (rc == 0)
			app_control_run(app);
		else
			hf_log(HF_LOG_ERROR, "holdfastd", "%s", err.text);
		app_undo(app);
	}
	app_config_free(app);
	free(app);
	return rc == 0 ? 0 : 1;
}
