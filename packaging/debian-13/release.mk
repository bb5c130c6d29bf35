# Debian 13 has all that dicomfs stands on but pydicom 3, which paints pictures. That comes
# along, and the whole program uses it: two of them in one program would be one too many.

DH_OPTIONS_OF_RELEASE = --with python3 --buildsystem=pybuild
export PYBUILD_NAME = dicomfs

execute_before_dh_auto_install:
	install -d $(PRIVATE)
	python3 -m zipfile -e wheels/pydicom-3.*.whl $(PRIVATE)

# These lie in /usr/bin now: the two in debian/ find what comes along.
execute_before_dh_install:
	rm -f $(TREE)/usr/bin/mount.dicomfs

override_dh_auto_test:
	PYTHONPATH=$$(echo .pybuild/*/build):$(PRIVATE) python3 -P -B -c \
		'import dicomfs.mount.worker, dicomfs.cli.main'

override_dh_python3:
	dh_python3
	dh_python3 /usr/lib/dicomfs
