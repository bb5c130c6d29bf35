# Debian 12 is older than what dicomfs stands on, so that comes along: the files in wheels/,
# of which pyfuse3 is compiled here. Nothing is fetched, and the installation needs no
# compiler.

DH_OPTIONS_OF_RELEASE = --with python3 --buildsystem=none
TOOLS = $(CURDIR)/build/tools
PIP = PYTHONPATH=$(TOOLS) python3 -m pip --disable-pip-version-check --no-cache-dir --quiet
# These build, and do not come along.
BUILDERS = hatchling packaging pathspec pluggy trove_classifiers

override_dh_auto_build:
	install -d $(TOOLS) build/wheels
	for each in $(BUILDERS); do python3 -m zipfile -e wheels/$$each-*.whl $(TOOLS); done
	# From a folder: pip unpacks archives by names of chance, which the compiler writes down.
	tar -C build -xzf wheels/pyfuse3-*.tar.gz
	$(PIP) wheel --no-index --no-deps --no-build-isolation --wheel-dir build/wheels \
		./build/pyfuse3-*/ .

override_dh_auto_install:
	install -d $(PRIVATE)
	for each in build/wheels/*.whl $$(ls wheels/*.whl | grep -v -E "/($$(echo $(BUILDERS) | tr ' ' '|'))-"); do \
		python3 -m zipfile -e $$each $(PRIVATE) || exit; done
	rm -rf $(PRIVATE)/*.data

# There is nothing to test before that.
execute_after_dh_install:
	PYTHONPATH=$(PRIVATE) python3 -P -B -c 'import dicomfs.mount.worker, dicomfs.cli.main'

# Who looks for a fault in pyfuse3 builds the package anew.
override_dh_strip:
	dh_strip --no-automatic-dbgsym

override_dh_python3:
	dh_python3 --no-guessing-deps /usr/lib/dicomfs
