/* The files in src/data, as strings: made at build time by tools/embed.py, one for each file. */
#ifndef GP_DATA_EMBED_H
#define GP_DATA_EMBED_H

extern const char gp_data_sandbox_conf[], gp_data_gunicorn_service[], gp_data_gunicorn_socket[], gp_data_celery_service[];
extern const char gp_data_site_caddy[], gp_data_sudoers[], gp_data_redis_conf[], gp_data_tmpfiles_conf[], gp_data_task_service[], gp_data_task_timer[];
extern const char gp_data_project_py[], gp_data_release_py[];

#endif
