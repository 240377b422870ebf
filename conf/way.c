#include "conf/way.h"

#include <stdio.h>
#include <string.h>

const struct route *
way_route(const struct conf *conf, struct span name)
{
	const struct route *r = conf->routes;
	while (r != NULL && !span_eq(name, span_of(r->name)))
		r = r->next;
	return r;
}

void
way_of(const struct conf *conf, const char *lane, struct conf_delivery *out)
{
	conf_delivery_of(out, conf, way_route(conf, lane_name_route(span_of(lane))));
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_login(const struct conf_delivery *a, const struct conf_delivery *b)
{
	return same_text(a->user, b->user) && same_text(a->password_file, b->password_file) &&
		same_text(a->token_command, b->token_command);
}

void
way_login(const struct conf *conf, const char *lane, char login[static LOGIN_NAME_SIZE])
{
	struct conf_delivery needed, d;
	snprintf(login, LOGIN_NAME_SIZE, LOGIN_NONE);
	way_of(conf, lane, &needed);
	if (needed.user == NULL)
		return;
	for (const struct route *r = conf->routes; r != NULL; r = r->next) {
		conf_delivery_of(&d, conf, r);
		if (!same_login(&d, &needed))
			continue;
		snprintf(login, LOGIN_NAME_SIZE, LANE_ROUTE "%s", r->name);
		return;
	}
}
