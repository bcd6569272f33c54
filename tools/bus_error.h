/*
 * The end of a program that has touched a mapped file where nothing is behind it any more: the disk
 * cannot read the page, or somebody has cut the file. Nothing can be done for it, as what was to be
 * read or written stands in the middle of everything; but the line says which file it was.
 */
#ifndef TOOLS_BUS_ERROR_H
#define TOOLS_BUS_ERROR_H

/* From now on SIGBUS prints that line before it ends the program as ever. */
void bus_error_tell(void);

#endif
