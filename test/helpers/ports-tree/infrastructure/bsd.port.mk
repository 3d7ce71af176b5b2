# A tiny bsd.port.mk: GNU make and bmake both run it. A port says PKGSTEM, VERSION, PORT (its pkgpath) and may say FLAVORS and SUBPACKAGES.
.PHONY: all package clean
all package clean:
	@PKGSTEM='$(PKGSTEM)' VERSION='$(VERSION)' PORT='$(PORT)' SUBPACKAGES='$(SUBPACKAGES)' LIB_DEPENDS='$(LIB_DEPENDS)' \
	    WANTLIB='$(WANTLIB)' sh '$(PORTSDIR)/infrastructure/port.sh' $@
